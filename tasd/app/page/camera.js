// A clip from the camera, recorded in the browser and sent like a file.

import { find, say } from "./dom.js";

let stream = null;
let recorder = null;
let count = 0;

export function useCamera(take) {
  find("camera").addEventListener("click", open);
  find("camera-off").addEventListener("click", close);
  find("record").addEventListener("click", () => (recorder ? recorder.stop() : record(take)));
}

async function open() {
  if (!navigator.mediaDevices || !window.MediaRecorder) {
    say("The browser gives the camera only to pages on this computer or over https; choose a file instead.");
    return;
  }
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 640 } }, audio: false });
  } catch (error) {
    say(`The camera cannot be used (${error.message}); allow it, or choose a file.`);
    return;
  }
  find("preview").srcObject = stream;
  find("camera-panel").hidden = false;
  await find("preview").play();
}

function close() {
  if (recorder) recorder.stop();
  for (const track of stream?.getTracks() ?? []) track.stop();
  stream = null;
  find("camera-panel").hidden = true;
}

function record(take) {
  const pieces = [];
  const kind = ["video/webm;codecs=vp8", "video/webm", "video/mp4"].find((each) => MediaRecorder.isTypeSupported(each));
  recorder = new MediaRecorder(stream, { mimeType: kind });
  recorder.ondataavailable = (event) => pieces.push(event.data);
  recorder.onstop = () => {
    recorder = null;
    find("record").textContent = "Record";
    count += 1;
    take(new Blob(pieces, { type: kind }), `camera ${count}.${kind.includes("mp4") ? "mp4" : "webm"}`);
  };
  recorder.start();
  find("record").textContent = "Stop and ask";
}
