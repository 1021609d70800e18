// A brush over a picture. What is covered is told to the page after every stroke, as a PNG whose
// opacity says where. `element`, `props`, `trigger` and `watch` are given by the page, which may
// make everything within the element anew whenever a property changes.

const SIDE = 640;
const find = (selector) => element.querySelector(selector);
let last = null;
let tool = "brush";

function choose(name) {
  tool = name;
  for (const each of element.querySelectorAll("button[data-tool]")) {
    each.setAttribute("aria-pressed", String(each.dataset.tool === name));
  }
}

function show() {
  const board = find(".board");
  board.dataset.empty = String(!props.picture);
  choose(tool);
  if (!props.picture) return;
  const picture = new Image();
  picture.onload = () => {
    const canvas = find("canvas");
    const scale = Math.min(1, SIDE / Math.max(picture.naturalWidth, picture.naturalHeight));
    canvas.width = Math.max(1, Math.round(scale * picture.naturalWidth));
    canvas.height = Math.max(1, Math.round(scale * picture.naturalHeight));
    board.style.backgroundImage = `url("${picture.src}")`;
    canvas.dataset.ready = "true";
  };
  find("canvas").dataset.ready = "false";
  picture.src = props.picture;
}

function place(event) {
  const canvas = find("canvas");
  const box = canvas.getBoundingClientRect();
  return [
    ((event.clientX - box.x) / box.width) * canvas.width,
    ((event.clientY - box.y) / box.height) * canvas.height,
  ];
}

function draw(to) {
  const canvas = find("canvas");
  const pen = canvas.getContext("2d");
  const share = Number(find("input").value) / 100;
  pen.globalCompositeOperation = tool === "eraser" ? "destination-out" : "source-over";
  pen.strokeStyle = getComputedStyle(canvas).color;
  pen.lineWidth = share * Math.max(canvas.width, canvas.height);
  pen.lineCap = pen.lineJoin = "round";
  pen.beginPath();
  pen.moveTo(...last);
  pen.lineTo(...to);
  pen.stroke();
  last = to;
}

function tell() {
  trigger("submit", { strokes: find("canvas").toDataURL("image/png") });
}

element.addEventListener("pointerdown", (event) => {
  if (event.target !== find("canvas")) return;
  event.target.setPointerCapture(event.pointerId);
  last = place(event);
  draw(last);
});
element.addEventListener("pointermove", (event) => {
  if (last) draw(place(event));
});
for (const kind of ["pointerup", "pointercancel"]) {
  element.addEventListener(kind, () => {
    if (last) tell();
    last = null;
  });
}
element.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button?.dataset.tool) choose(button.dataset.tool);
  if (button?.dataset.clear === undefined) return;
  const canvas = find("canvas");
  canvas.getContext("2d").clearRect(0, 0, canvas.width, canvas.height);
  tell();
});

watch("picture", show);
show();
