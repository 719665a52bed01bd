// The page: what a person does goes to the server, and the state that it answers with is drawn.

import { send, upload } from "./api.js";
import { useCamera } from "./camera.js";
import { showClasses } from "./classes.js";
import { find, say, takeFiles } from "./dom.js";
import { showQuestions } from "./questions.js";

let state = { classes: [], questions: [], left: 0 };
let drawn = "";
let sending = 0;

async function act(work) {
  say("");
  try { await work(); } catch (error) { say(error.message); }
  await refresh();
}

async function sendFiles(path, files, options = {}) {
  const failed = [];
  for (const [number, file] of files.entries()) {
    const of = files.length > 1 ? ` (${number + 1} of ${files.length})` : "";
    sending += 1;
    try {
      await upload(path, file, file.name, options, (share) => note(`Sending ${file.name}${of}, ${Math.round(100 * share)} %`));
    } catch (error) { failed.push(error.message); }
    sending -= 1;
    await refresh();
  }
  if (failed.length) throw new Error(failed.join(" · "));
}

const acts = {
  rename: (item, name) => act(() => send("PATCH", `/api/classes/${item.id}`, { name })),
  remove: (item) => act(() => send("DELETE", `/api/classes/${item.id}`)),
  add: (item, files) => act(() => sendFiles(`/api/classes/${item.id}/clips`, files)),
  drop: (clip) => act(() => send("DELETE", `/api/clips/${clip.id}`)),
  forget: (each) => act(() => send("DELETE", `/api/questions/${each.id}`)),
  again: (each) => act(() => send("POST", `/api/questions/${each.id}/again`)),
  correct: (each, chosen) => act(() => send("POST", `/api/questions/${each.id}/correct`, { chosen })),
};

function ask(files) {
  const windows = document.querySelector("input[name=kind]:checked").value === "windows";
  act(() => sendFiles("/api/questions", files, windows ? { window: find("window").value } : {}));
}

function note(text) {
  find("status").textContent = text;
  find("status").hidden = !text;
}

async function refresh() {
  try {
    const answer = await fetch("/api/state");
    if (!answer.ok) throw new Error((await answer.text()).trim());
    state = await answer.json();
  } catch (error) {
    say(error instanceof TypeError ? "The server has ended; start tasd app again." : error.message);
    return;
  }
  draw();
}

function draw() {
  if (!sending) note(state.left ? `The network reads: ${state.left} to go` : "");
  const content = JSON.stringify([state.classes, state.questions]);
  const askable = state.classes.filter((item) => item.clips.some((clip) => clip.state !== "failed")).length > 1;
  find("ask-hint").textContent = askable ? "Drop a new clip here." : "First give two classes a clip each.";
  for (const id of ["ask-file", "camera", "record"]) find(id).disabled = !askable;
  find("ask-pick").classList.toggle("off", !askable);
  find("network").textContent = `${state.network}${state.trained ? "" : ", not trained on these actions"}`;
  find("rejection").textContent = state.rejects ? `“None of these” is on: ${state.rejection}.`
    : state.rejection ? `“None of these” is off: ${state.rejection}.` : "";
  if (content === drawn || typing()) return;
  drawn = content;
  const key = document.activeElement?.dataset?.key;
  showClasses(state, acts);
  showQuestions(state, acts);
  if (key) document.querySelector(`[data-key="${key}"]`)?.focus();
}

const typing = () => document.activeElement?.classList.contains("name") && document.activeElement.value !== document.activeElement.defaultValue;

find("new-class").addEventListener("submit", (event) => {
  event.preventDefault();
  act(async () => {
    await send("POST", "/api/classes", { name: find("class-name").value });
    find("class-name").value = "";
  });
});
find("examples").addEventListener("click", () => act(() => send("POST", "/api/examples")));
find("ask-file").addEventListener("change", (event) => { ask([...event.target.files]); event.target.value = ""; });
takeFiles(find("asker"), ask);
useCamera((blob, name) => ask([new File([blob], name, { type: blob.type })]));
for (const kind of ["dragover", "drop"]) document.addEventListener(kind, (event) => event.preventDefault());

async function watch() {
  await refresh();
  setTimeout(watch, state.left ? 300 : 3000);
}
watch();
