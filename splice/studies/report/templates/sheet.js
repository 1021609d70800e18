const data = JSON.parse(document.getElementById("data").textContent);
const { questions } = data;
const byId = (id) => document.getElementById(id);
const random = (bytes) => [...crypto.getRandomValues(new Uint8Array(bytes))]
  .map((byte) => byte.toString(16).padStart(2, "0")).join("");
const key = `splice-sheet-${data.sheet}`;

// What was answered before the page was closed.
let progress = { session: random(10), begun: new Date().toISOString(), answers: {} };
try {
  const earlier = JSON.parse(remembered.get(key));
  if (earlier && earlier.session && earlier.answers) progress = earlier;
} catch { /* begin anew */ }
let at = 0;
let shownAt = 0;
let saved = true;

function view(name) {
  for (const part of ["start", "ask", "end"]) byId(part).hidden = part !== name;
}
function answered() { return Object.keys(progress.answers).length; }

function ask(index) {
  at = index;
  const question = questions[at];
  view("ask");
  byId("bar").value = answered();
  byId("count").textContent = `Question ${at + 1} of ${questions.length}`;
  const put = (image, address, ratio) => {
    image.src = address;
    image.style.setProperty("--ratio", ratio);
  };
  put(byId("a"), question.structure, question.ratio);
  put(byId("b"), question.appearance, question.ratio_b);
  ["left", "right"].forEach((side, i) => {
    const button = byId(side);
    put(button.querySelector("img"), question.sides[i], question.ratio);
    const answer = progress.answers[question.pair];
    button.classList.toggle("chosen", Boolean(answer) && answer.side === side);
    button.setAttribute("aria-pressed", String(Boolean(answer) && answer.side === side));
  });
  byId("back").disabled = at === 0;
  if (document.activeElement) document.activeElement.blur();
  scrollTo(0, 0);
  shownAt = performance.now();
}

function choose(side) {
  const question = questions[at];
  const before = progress.answers[question.pair];
  progress.answers[question.pair] = {
    pair: question.pair,
    side,
    chosen: question.tokens[side === "left" ? 0 : 1],
    milliseconds: Math.round(performance.now() - shownAt + (before ? before.milliseconds : 0)),
  };
  saved = false;
  remembered.set(key, JSON.stringify(progress));
  if (at + 1 < questions.length) ask(at + 1);
  else finish();
}

function finish() {
  view("end");
  const rest = questions.length - answered();
  byId("sum").textContent = rest
    ? `You have answered ${answered()} of ${questions.length} questions.`
    : `You have answered all ${questions.length} questions. Please save your answers and send the file to whoever asked you.`;
  byId("return").textContent = rest ? "← On with the questions" : "← Back to the questions";
  byId("anew").hidden = !saved;
}

function save() {
  const { format, splice, sheet, systems, question } = data;
  const answers = questions.map((each) => progress.answers[each.pair]).filter(Boolean);
  const content = {
    format, splice, sheet, systems, question,
    session: progress.session,
    begun: progress.begun,
    saved: new Date().toISOString(),
    rater: byId("rater").value.trim(),
    remarks: byId("remarks").value.trim(),
    asked: questions.length,
    answers,
  };
  const blob = new Blob([JSON.stringify(content, null, 1)], { type: "application/json" });
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = `answers-${progress.session.slice(0, 6)}.json`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  saved = true;
  byId("anew").hidden = false;
  byId("saved").textContent = `Saved as ${link.download} in your downloads.`;
}

const firstOpen = () => Math.max(0, questions.findIndex((each) => !progress.answers[each.pair]));
if (answered()) byId("begin").textContent = "Go on";
byId("begin").addEventListener("click", () => (answered() === questions.length ? finish() : ask(firstOpen())));
for (const side of ["left", "right"]) byId(side).addEventListener("click", () => choose(side));
byId("back").addEventListener("click", () => at > 0 && ask(at - 1));
byId("pause").addEventListener("click", finish);
byId("return").addEventListener("click", () => ask(answered() === questions.length ? questions.length - 1 : firstOpen()));
byId("anew").addEventListener("click", () => { remembered.drop(key); location.reload(); });
byId("form").addEventListener("submit", (event) => { event.preventDefault(); save(); });

const box = byId("box");
each(".look", (button) => button.addEventListener("click", () => {
  const image = button.querySelector("img") || button.parentElement.querySelector("img");
  box.querySelector("img").src = image.src;
  box.querySelector("img").alt = image.alt;
  box.showModal();
}));
box.addEventListener("click", () => box.close());

document.addEventListener("keydown", (event) => {
  if (event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
  if (byId("ask").hidden || box.open) return;
  const side = { 1: "left", ArrowLeft: "left", 2: "right", ArrowRight: "right" }[event.key];
  if (side) { event.preventDefault(); choose(side); }
  if (event.key === "Backspace" && at > 0) { event.preventDefault(); ask(at - 1); }
});
addEventListener("beforeunload", (event) => { if (!saved) event.preventDefault(); });
