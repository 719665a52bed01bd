// The classes and their examples.

import { find, frames, make, takeFiles, colourOf } from "./dom.js";

export function classCard(item, place, act) {
  const name = make("input", {
    class: "name", value: item.name, maxlength: 80, "aria-label": `Name of the class ${item.name}`,
    "data-key": `name-${item.id}`,
    onchange: (event) => act.rename(item, event.target.value),
    onkeydown: (event) => { if (event.key === "Enter") event.target.blur(); },
  });
  const picker = make("input", {
    type: "file", multiple: true, accept: "video/*,.mkv,.avi,.ts", "aria-label": `Add clips to ${item.name}`,
    "data-key": `pick-${item.id}`,
    onchange: (event) => { act.add(item, [...event.target.files]); event.target.value = ""; },
  });
  const card = make("section", { class: "card class", "aria-label": `Class ${item.name}` },
    make("div", { class: "row" },
      make("span", { class: "swatch", colour: colourOf(place) }),
      make("label", { class: "grow" }, name),
      make("label", { class: "button small plain" }, "Add clips", picker),
      make("button", {
        class: "icon", type: "button", "aria-label": `Delete the class ${item.name}`, title: "Delete the class",
        "data-key": `delete-${item.id}`, onclick: () => act.remove(item),
      }, "×")),
    item.clips.length ? null : make("p", { class: "quiet" }, "Drop clips here, or add them."),
    ...item.clips.map((clip) => clipRow(clip, act)));
  takeFiles(card, (files) => act.add(item, files));
  return card;
}

function clipRow(clip, act) {
  const state = { waiting: "waits", reading: "is read …" }[clip.state];
  return make("div", { class: "clip" },
    make("div", { class: "caption" },
      make("span", { title: clip.name }, clip.name + (state ? ` ${state}` : "")),
      make("button", {
        class: "icon", type: "button", "aria-label": `Delete the clip ${clip.name}`, title: "Delete the clip",
        "data-key": `drop-${clip.id}`, onclick: () => act.drop(clip),
      }, "×")),
    clip.problem ? make("p", { class: "problem" }, clip.problem) : null,
    clip.note ? make("p", { class: "quiet" }, clip.note) : null,
    clip.seconds.length ? frames(clip.id, clip.seconds, clip.name) : null);
}

export function showClasses(state, act) {
  find("empty").hidden = state.classes.length > 0;
  find("classes").replaceChildren(...state.classes.map((item, place) => classCard(item, place, act)));
  find("export").hidden = !state.classes.some((item) => item.clips.some((clip) => clip.state === "ready"));
}
