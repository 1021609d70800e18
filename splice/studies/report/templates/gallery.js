const cards = [...document.querySelectorAll(".card")];
const gallery = document.getElementById("gallery");
const byId = (id) => document.getElementById(id);

// Light or dark.
byId("theme").addEventListener("click", () => {
  const dark = root.dataset.theme
    ? root.dataset.theme === "dark"
    : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  remembered.set("splice-theme", root.dataset.theme);
});

// Sorting and filtering.
function arrange() {
  const sort = byId("sort");
  const key = sort.value;
  const best = sort.selectedOptions[0].dataset.best;
  const upside = (best === "higher" ? -1 : 1) * (byId("order").ariaPressed === "true" ? -1 : 1);
  const value = (card) => {
    const text = card.getAttribute(`data-${key}`);
    return text === null ? null : Number(text);
  };
  const sorted = [...cards].sort((a, b) => {
    const [x, y] = [value(a), value(b)];
    if (x === null || y === null) return (x === null) - (y === null) || a.dataset.number - b.dataset.number;
    return upside * (x - y) || a.dataset.number - b.dataset.number;
  });
  const words = byId("find").value.toLocaleLowerCase().split(/\s+/).filter(Boolean);
  const state = byId("state") ? byId("state").value : "";
  let shown = 0;
  for (const card of sorted) {
    const name = card.dataset.name.toLocaleLowerCase();
    card.hidden = !(words.every((word) => name.includes(word)) && (!state || card.dataset.state === state));
    shown += !card.hidden;
    gallery.append(card);
  }
  const none = document.querySelector(".none");
  none.hidden = shown > 0;
  gallery.append(none);
  byId("shown").textContent = `${shown} of ${cards.length} pairs shown`;
}
byId("find").addEventListener("input", arrange);
byId("sort").addEventListener("change", arrange);
if (byId("state")) byId("state").addEventListener("change", arrange);
byId("order").addEventListener("click", (event) => {
  const button = event.currentTarget;
  button.ariaPressed = button.ariaPressed === "true" ? "false" : "true";
  arrange();
});
byId("size").addEventListener("input", (event) => {
  gallery.style.setProperty("--column", `${event.target.value}px`);
});

// The slider over an output.
function overlay(stage) {
  const card = stage.closest(".card");
  const wanted = byId("other").value;
  const from = card.querySelector(`figure[data-role="${wanted}"]`) || card.querySelector('figure[data-role="structure"]');
  const over = stage.querySelector(".over");
  const range = stage.querySelector(".reveal");
  if (!from) { range.disabled = true; return; }
  const image = over.querySelector("img");
  const source = from.querySelector("img");
  if (image.getAttribute("src") !== source.getAttribute("src")) image.src = source.getAttribute("src");
  over.querySelector("figcaption").textContent = from.dataset.label;
  range.setAttribute("aria-label", `Reveal ${from.dataset.label} of ${card.dataset.name}`);
}
function slide(stage, share) {
  stage.style.setProperty("--at", `${share}%`);
  stage.querySelector(".reveal").setAttribute("aria-valuetext", `${Math.round(share)} % revealed`);
}
each("figure.stage", (stage) => {
  const over = document.createElement("div");
  over.className = "over";
  over.append(Object.assign(document.createElement("img"), { alt: "" }), document.createElement("figcaption"));
  const range = Object.assign(document.createElement("input"), {
    type: "range", min: 0, max: 100, step: "any", value: 0, className: "reveal",
  });
  const bar = Object.assign(document.createElement("span"), { className: "bar" });
  stage.append(over, range, bar);
  const name = stage.closest(".card").dataset.name;
  range.setAttribute("aria-label", `Reveal the structure image of ${name}`);
  // The other picture is fetched when it is first wanted: a page may hold thousands.
  for (const kind of ["pointerenter", "focus", "touchstart"]) {
    range.addEventListener(kind, () => overlay(stage), { passive: true });
  }
  range.addEventListener("input", () => { overlay(stage); slide(stage, range.value); });
  range.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: -5, ArrowDown: -5, ArrowRight: 5, ArrowUp: 5, PageDown: -25, PageUp: 25 }[event.key];
    if (!by) return;
    event.preventDefault();
    range.value = Math.max(0, Math.min(100, Number(range.value) + by));
    overlay(stage);
    slide(stage, range.value);
  });
});
byId("other").addEventListener("change", () => {
  each("figure.stage", (stage) => {
    const range = stage.querySelector(".reveal");
    // One who asks for a comparison wants to see it.
    if (Number(range.value) === 0) range.value = 50;
    overlay(stage);
    slide(stage, range.value);
  });
});

// Time lapses.
each(".lapse", (lapse) => {
  const { columns, frames } = lapse.dataset;
  const steps = lapse.dataset.steps.split(" ");
  const image = lapse.querySelector("img");
  const range = lapse.querySelector("input");
  const said = lapse.querySelector("output");
  const button = lapse.querySelector(".play");
  const rows = Math.ceil(frames / columns);
  let timer = null;
  const show = () => {
    const frame = Number(range.value);
    const [column, row] = [frame % columns, Math.floor(frame / columns)];
    image.style.transform = `translate(${(-100 * column) / columns}%, ${(-100 * row) / rows}%)`;
    const step = steps.length === Number(frames) ? `step ${steps[frame]}` : `frame ${frame + 1}`;
    said.textContent = frame === 0 ? "start" : step;
    range.setAttribute("aria-valuetext", said.textContent);
  };
  const pause = () => {
    clearInterval(timer);
    timer = null;
    button.firstElementChild.textContent = "▶";
  };
  button.addEventListener("click", () => {
    if (timer) return pause();
    if (range.value === range.max) range.value = 0;
    button.firstElementChild.textContent = "❚❚";
    timer = setInterval(() => {
      range.value = Number(range.value) + 1;
      show();
      if (range.value === range.max) pause();
    }, 110);
  });
  range.addEventListener("input", () => { pause(); show(); });
  range.value = range.max;
  show();
});

// Enlarged pictures, turned over with the arrow keys.
const box = byId("box");
let turned = [];
let at = 0;
function enlarge(index) {
  at = (index + turned.length) % turned.length;
  const { image, label, name } = turned[at];
  const large = box.querySelector("figure img");
  large.src = image.getAttribute("src");
  large.alt = image.alt;
  box.querySelector("figcaption").textContent = `${name} · ${label}`;
}
function open(figure) {
  const card = figure.closest(".card");
  const figures = [...card.querySelectorAll("figure[data-role]")];
  turned = figures.map((each) => ({
    image: each.querySelector("img"), label: each.dataset.label, name: card.dataset.name,
  }));
  enlarge(figures.indexOf(figure));
  box.showModal();
}
each(".enlarge", (button) => button.addEventListener("click", () => open(button.closest("figure"))));
box.querySelector(".back").addEventListener("click", () => enlarge(at - 1));
box.querySelector(".on").addEventListener("click", () => enlarge(at + 1));
box.addEventListener("click", (event) => {
  if (event.target === box || event.target.tagName === "FIGURE") box.close();
});
box.addEventListener("keydown", (event) => {
  if (event.key === "ArrowLeft") enlarge(at - 1);
  if (event.key === "ArrowRight") enlarge(at + 1);
});

document.addEventListener("keydown", (event) => {
  if (event.key === "/" && !event.target.matches("input, select, textarea")) {
    event.preventDefault();
    byId("find").focus();
  }
});

// A link to a pair opens it.
function follow() {
  const card = location.hash.startsWith("#pair-") ? byId(location.hash.slice(1)) : null;
  const details = card && card.querySelector("details");
  if (details) { details.open = true; card.scrollIntoView(); }
}
addEventListener("hashchange", follow);
follow();
