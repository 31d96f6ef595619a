// The page's part of fkd/deploy/review.py, run by gr.HTML with `element`, `props` and `server`.
const HALF_PX = 0.5, TENTH_PX = 0.1;
const GONE = "The server does not answer; what was decided is in the CSV. Run fkd review again.";
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const root = element.querySelector(".review");
const find = (name) => root.querySelector(`.${name}`);
const svg = find("face");
const page = Math.random().toString(36).slice(2);
const FURTHEST_PX = 48; // from the picture that a label may be dragged
let item = null; // what the server said last
let grip = null; // from the pointer to the label, while it is dragged
let queue = Promise.resolve(); // one key after the other: each is for the label that is shown when its turn comes

function place(node, [x, y]) {
  node.setAttribute("cx", x);
  node.setAttribute("cy", y);
}

function drawLabel([x, y]) {
  const moved = x !== item.label_px[0] || y !== item.label_px[1];
  find("label").setAttribute("transform", `translate(${x} ${y})`);
  for (const name of ["way", "origin"]) find(name).style.display = moved ? "" : "none";
  place(find("origin"), item.label_px);
  const way = { x1: item.label_px[0], y1: item.label_px[1], x2: x, y2: y };
  for (const [key, value] of Object.entries(way)) find("way").setAttribute(key, value);
}

function labelled() {
  return item.moved_px || item.label_px;
}

function draw() {
  if (grip) letGo(); // an answer came meanwhile: what was dragged may be another label
  // The centre of the first pixel is at (0, 0); labels may lie outside the picture.
  const all = [item.label_px, labelled(), item.predicted_px, [-0.5, -0.5], [95.5, 95.5]];
  const [xs, ys] = [all.map((one) => one[0]), all.map((one) => one[1])];
  const [left, top] = [Math.min(...xs), Math.min(...ys)];
  const side = Math.max(Math.max(...xs) - left, Math.max(...ys) - top);
  const margin = side > 96 ? 3 : 0;
  svg.setAttribute("viewBox", [left - margin, top - margin, side + 2 * margin, side + 2 * margin].join(" "));
  const picture = find("picture");
  for (const [key, value] of Object.entries({ x: -0.5, y: -0.5, width: 96, height: 96, href: item.picture })) {
    picture.setAttribute(key, value);
  }
  find("others").replaceChildren(...item.others_px.map((one) => {
    const dot = document.createElementNS(svg.namespaceURI, "circle");
    dot.setAttribute("r", 0.7);
    place(dot, one);
    return dot;
  }));
  for (const name of ["radius", "prediction"]) place(find(name), item.predicted_px);
  find("radius").setAttribute("r", item.radius_px);
  drawLabel(labelled());
  root.classList.toggle("dropped", item.verdict === "drop");
  root.dataset.position = item.position;
  root.dataset.verdict = item.verdict || "";
  const away = `${item.distance_px.toFixed(1)} px from the prediction`;
  svg.setAttribute("aria-label", `Row ${item.row}: the label of its ${item.keypoint} is ${away}`);
  find("place").textContent = `Label ${(item.position + 1).toLocaleString("en")} of ${item.count.toLocaleString("en")}, row ${item.row}`;
  find("title").textContent = item.keypoint;
  find("facts").textContent = `The label is ${away}: ${item.radii.toFixed(1)} times the radius of ` +
    `${item.radius_px.toFixed(1)} px that holds nine labels of ten. ` + (item.is_unseen
    ? "The prediction is by networks that have not seen this face: it validates them, so a decision on it " +
      "is learned where the face trains others, not here."
    : "The prediction is by networks that have learned from this label.");
  const moved = item.moved_px && item.moved_px.map((px) => px.toFixed(1)).join(", ");
  find("verdict").textContent = { keep: "Kept", drop: "Dropped", move: `Moved to ${moved}; N shows the next` }[
    item.verdict] || "Undecided";
  const { keep, drop, move } = item.verdicts;
  find("counts").textContent = `${keep} kept, ${drop} dropped, ${move} moved, ` +
    `${(item.count - keep - drop - move).toLocaleString("en")} undecided`;
}

async function ask(what, question = {}) {
  const answer = await server.ask({ what, page, ...question }).catch(() => null) || { problem: GONE };
  find("problem").textContent = answer.problem || "";
  if (!answer.problem) item = answer;
  if (item) draw();
  return !answer.problem;
}

const show = (position) => ask("show", { position: Math.max(0, position) });
const decide = (verdict, movedPx = null) =>
  ask("decide", { position: item.position, label: item.name, verdict, moved_px: movedPx });

async function press(key, shift) {
  if (!item || grip) return;
  if (key in ARROWS) {
    const step = shift ? TENTH_PX : HALF_PX;
    await decide("move", labelled().map((px, axis) => px + step * ARROWS[key][axis]));
  } else if (key === "k" || key === "d") {
    if (await decide(key === "k" ? "keep" : "drop")) await show(item.position + 1);
  } else if (key === "p") {
    await decide("move", item.predicted_px);
  } else if (key === "x") {
    await decide(null);
  } else if (key === "u") {
    await ask("undo");
  } else if (key === "n") {
    await show(item.position + 1);
  } else if (key === "b") {
    await show(item.position - 1);
  } else if (key === "f") {
    await ask("first");
  }
}

function enqueue(work) {
  queue = queue.then(work);
}

for (const button of root.querySelectorAll("button")) {
  button.addEventListener("click", () => enqueue(() => press(button.dataset.key, false)));
}

document.addEventListener("keydown", (event) => {
  const elsewhere = !root.offsetParent || event.target.closest("input, textarea, select, [contenteditable]");
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (elsewhere || event.ctrlKey || event.metaKey || event.altKey || !(key in ARROWS || "kdpxunbf".includes(key))) return;
  event.preventDefault(); // arrow keys would scroll
  if (event.repeat && !(key in ARROWS)) return; // a key that is held down decides once
  enqueue(() => press(key, event.shiftKey));
});

function inFace(event) {
  const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
  return [at.x, at.y];
}

const handle = find("handle");

handle.addEventListener("pointerdown", (event) => {
  const [x, y] = inFace(event);
  grip = [labelled()[0] - x, labelled()[1] - y];
  handle.setPointerCapture(event.pointerId);
  root.classList.add("dragged");
});
handle.addEventListener("pointermove", (event) => {
  if (grip) drawLabel(dragged(event));
});
handle.addEventListener("pointerup", (event) => {
  if (!grip) return;
  const [movedPx, mine] = [dragged(event), item.name];
  letGo();
  const isMoved = Math.hypot(movedPx[0] - labelled()[0], movedPx[1] - labelled()[1]) > TENTH_PX;
  if (isMoved) enqueue(async () => item.name === mine && decide("move", movedPx));
});
handle.addEventListener("pointercancel", () => {
  letGo();
  draw();
});

function dragged(event) {
  const inReach = (px) => Math.min(95.5 + FURTHEST_PX, Math.max(-0.5 - FURTHEST_PX, px));
  return inFace(event).map((px, axis) => inReach(px + grip[axis]));
}

function letGo() {
  grip = null;
  root.classList.remove("dragged");
}

enqueue(() => ask("first"));
