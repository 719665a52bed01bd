// The answers: bars to click, the nearest example, and the moments of a long video.

import { colourOf, find, frames, make } from "./dom.js";

const players = new Map(); // one for each question, kept while the page is drawn again

export function showQuestions(state, act) {
  const kept = new Set(state.questions.map((each) => each.id));
  for (const id of players.keys()) if (!kept.has(id)) players.delete(id);
  find("questions").replaceChildren(...state.questions.map((each) => questionCard(each, state, act)));
}

function questionCard(each, state, act) {
  const card = make("article", { class: "card question", "aria-label": `Answer for ${each.name}` },
    make("div", { class: "caption" }, make("span", { title: each.name }, each.name),
      make("button", {
        class: "icon", type: "button", "aria-label": `Remove the question about ${each.name}`,
        "data-key": `forget-${each.id}`, onclick: () => act.forget(each),
      }, "×")));
  if (each.problem) card.append(make("p", { class: "problem" }, each.problem));
  if (each.note) card.append(make("p", { class: "quiet" }, each.note));
  const waits = { waiting: "Waits for its turn …", reading: "The network reads it …", ready: "" }[each.state];
  if (waits) card.append(make("p", { class: "quiet" }, waits));
  if (each.answer && each.window) card.append(...moments(each, state));
  else if (each.answer) card.append(...answer(each, state, act));
  else if (each.seconds.length && !each.window) card.append(frames(each.id, each.seconds, each.name));
  if (each.old) {
    card.append(make("p", { class: "row quiet" }, "The examples have changed since.",
      make("button", { type: "button", class: "small plain", "data-key": `again-${each.id}`, onclick: () => act.again(each) }, "Ask again")));
  }
  return card;
}

const nameOf = (state, id) => state.classes.find((item) => item.id === id)?.name ?? "a class that is gone";
const placeOf = (state, id) => state.classes.findIndex((item) => item.id === id);
const percent = (share) => `${Math.round(100 * share)}\u00a0%`;

function answer(each, state, act) {
  const told = each.answer;
  const best = nameOf(state, told.class);
  const label = told.accepted ? best : "none of these";
  const near = told.nearest;
  const owner = state.classes.find((item) => item.clips.some((clip) => clip.id === near.id));
  const learnt = state.classes.find((item) => item.clips.some((clip) => clip.id === each.learnt));
  return [
    make("p", { class: "told" }, make("strong", { class: "label" }, label),
      make("span", { class: "quiet" }, told.accepted ? percent(told.scores[0].share) : `nearest class: ${best}`)),
    make("p", { class: "quiet" }, learnt
      ? learnt.id === told.class ? `An example of ${learnt.name} now; its own answer is no test any more.`
        : `An example of ${learnt.name} now, but most like all of ${best}: add more clips of ${learnt.name}.`
      : "Not right? Click what it is, and the clip becomes an example."),
    make("ul", { class: "scores", "aria-label": "Share of each class" }, ...told.scores.map((score, place) => {
      const name = nameOf(state, score.class);
      return make("li", {}, make("button", {
        type: "button", class: place ? "" : "first", "data-key": `is-${each.id}-${score.class}`,
        "aria-label": `${name}, ${percent(score.share)}: make the clip an example of ${name}`,
        onclick: () => act.correct(each, score.class),
      }, make("span", { class: "label" }, name),
      make("span", { class: "bar" }, make("i", { width: `${Math.max(1, 100 * score.share)}%`, colour: colourOf(placeOf(state, score.class)) })),
      make("span", { class: "percent" }, percent(score.share))));
    }), ...state.classes.filter((item) => !told.scores.some((score) => score.class === item.id)).map((item) =>
      make("li", {}, make("button", {
        type: "button", "aria-label": `make the clip an example of ${item.name}`, onclick: () => act.correct(each, item.id),
      }, make("span", { class: "label" }, item.name), make("span", { class: "quiet" }, "new class"), "")))),
    make("div", { class: "pair" },
      make("div", {}, make("p", {}, "The frames that the network read"), frames(each.id, each.seconds, each.name)),
      make("div", { class: "nearest" }, make("p", {}, `Nearest example: ${near.name}${owner ? `, ${owner.name}` : " (deleted)"}`),
        owner ? frames(near.id, near.seconds, near.name) : null)),
  ];
}

function player(each) {
  if (!players.has(each.id)) {
    const video = make("video", { controls: true, preload: "metadata", playsinline: true, "aria-label": `Video ${each.name}` });
    const note = make("p", { class: "problem", hidden: true },
      "This browser cannot play the video's codec; the moments show its frames instead.");
    video.addEventListener("error", () => { note.hidden = false; video.hidden = true; });
    video.src = `/api/questions/${each.id}/video`;
    players.set(each.id, { video, note, large: make("div", {}), chosen: -1 });
  }
  return players.get(each.id);
}

function moments(each, state) {
  const shown = player(each);
  const parts = each.answer.segments;
  const clock = (second) => `${Math.floor(second / 60)}:${(second % 60).toFixed(1).padStart(4, "0")}`;
  const rows = [];
  const jump = (part, place) => {
    shown.chosen = place;
    shown.video.currentTime = part.start;
    rows.forEach((row, number) => row.setAttribute("aria-current", String(number === place)));
    if (shown.video.hidden) rows[place].scrollIntoView({ block: "nearest" });
  };
  const label = (part) => (part.class ? nameOf(state, part.class) : "none of these");
  const colour = (part) => colourOf(part.class ? placeOf(state, part.class) : -1);
  const band = make("div", { class: "timeline", role: "group", "aria-label": "Timeline" }, ...parts.map((part, place) => {
    const button = make("button", {
      type: "button", class: part.class ? "" : "none", colour: colour(part), title: `${label(part)}, ${clock(part.start)}`,
      "aria-label": `${label(part)}, from ${clock(part.start)} to ${clock(part.end)}`,
      "data-key": `band-${each.id}-${place}`, onclick: () => jump(part, place),
    });
    button.style.flexGrow = String(Math.max(0.01, part.end - part.start));
    return button;
  }));
  parts.forEach((part, place) => rows.push(make("button", {
    type: "button", "data-key": `moment-${each.id}-${place}`, "aria-current": String(shown.chosen === place), onclick: () => jump(part, place),
  }, make("img", { src: `/api/frames/${each.id}/${part.window}`, alt: "", loading: "lazy" }),
  make("span", { class: "swatch", colour: colour(part) }), make("span", {}, `${label(part)} ${percent(part.share)}`),
  make("time", {}, `${clock(part.start)} – ${clock(part.end)}`))));
  return [shown.video, shown.note, band,
    make("ul", { class: "moments", "aria-label": "Moments" }, ...rows.map((row) => make("li", {}, row)))];
}
