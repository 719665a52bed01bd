// Requests to the server of this page; the header tells it that they come from here.

export async function send(method, path, body) {
  const answer = await fetch(path, {
    method,
    headers: { "x-tasd": "1", "content-type": "application/json" },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  return checked(answer.status, await answer.text());
}

// Upload a file; progress is called with a share from 0 to 1.
export function upload(path, file, name, options, progress) {
  const query = new URLSearchParams({ name: shortened(name), ...options });
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", `${path}?${query}`);
    request.setRequestHeader("x-tasd", "1");
    request.setRequestHeader("content-type", "application/octet-stream");
    request.upload.onprogress = (event) => progress(event.loaded / (event.total || 1));
    request.onload = () => {
      try { resolve(checked(request.status, request.responseText)); } catch (error) { reject(error); }
    };
    request.onerror = () => reject(new Error(`${shortened(name)} was not taken: the server is gone, or refused it`));
    request.send(file);
  });
}

function shortened(name) {
  const letters = [...name];
  return letters.length > 100 ? `${letters.slice(0, 80).join("")}…${letters.slice(-12).join("")}` : name;
}

function checked(status, text) {
  let found = {};
  try { found = JSON.parse(text); } catch { found = { error: text.trim() }; }
  if (status >= 400) throw new Error(found.error || `the server answered ${status}`);
  return found;
}
