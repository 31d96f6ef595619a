// The page's part of fkd/deploy/camera.py, run by gr.HTML with `element`, `props` and `server`.
// Each picture is sent when the one before has come back: so fast as the networks are, and no faster.
const LONGEST_PX = 480, JPEG_QUALITY = 0.7, PACE_OF_PICTURES = 10;
const GREEN = "#3ce63c", YELLOW = "#fadc3c", RED = "#e63c3c";
const page = Math.random().toString(36).slice(2);
const find = (name) => element.querySelector(`.${name}`);
const sent = document.createElement("canvas"); // what the server sees
let video = null;

function say(text) {
  find("said").textContent = text;
}

function stop() {
  if (!video) return;
  for (const track of video.srcObject.getTracks()) track.stop();
  video = null;
  find("switch").textContent = "Start the camera";
}

async function start() {
  if (!navigator.mediaDevices) {
    say("Browsers open a camera only on this machine's own address (http://127.0.0.1) or by HTTPS.");
    return;
  }
  try {
    const stream = await navigator.mediaDevices.getUserMedia({ video: { width: 640, height: 480 }, audio: false });
    video = Object.assign(document.createElement("video"), { srcObject: stream, muted: true, playsInline: true });
    await video.play();
  } catch (error) {
    stop();
    say(`The camera cannot be opened: ${error.message}. Plug one in and allow this page to use it.`);
    return;
  }
  find("switch").textContent = "Stop the camera";
  watch(video);
}

async function watch(mine) {
  const times = []; // of the last pictures
  while (video === mine) {
    if (!element.offsetParent) return stop(); // another tab is looked at
    const scale = Math.min(1, LONGEST_PX / Math.max(mine.videoWidth, mine.videoHeight));
    sent.width = Math.round(mine.videoWidth * scale);
    sent.height = Math.round(mine.videoHeight * scale);
    sent.getContext("2d").drawImage(mine, 0, 0, sent.width, sent.height);
    const picture = sent.toDataURL("image/jpeg", JPEG_QUALITY).split(",")[1];
    const answer = await server.ask({ page, run: props.value, picture }).catch(() => null);
    if (video !== mine) return;
    if (!answer || answer.problem) {
      stop();
      say(answer ? answer.problem : "The server does not answer; run fkd demo again.");
      return;
    }
    draw(answer.faces);
    times.push(performance.now());
    if (times.length > PACE_OF_PICTURES) times.shift();
    const perS = times.length > 1 ? (1000 * (times.length - 1)) / (times.at(-1) - times[0]) : 0;
    say(`${answer.faces.length} face${answer.faces.length === 1 ? "" : "s"}, ${perS.toFixed(1)} pictures a second`);
    await new Promise(requestAnimationFrame);
  }
}

function draw(faces) {
  const view = find("view"), ink = view.getContext("2d");
  [view.width, view.height] = [sent.width * 2, sent.height * 2]; // points are sharper than the picture
  ink.drawImage(sent, 0, 0, view.width, view.height);
  const line = view.width / Math.max(view.clientWidth, 1); // a pixel of the screen
  const circle = (x, y, radius, colour, filled) => {
    ink.beginPath();
    ink.arc((x + 0.5) * 2, (y + 0.5) * 2, radius * 2, 0, 2 * Math.PI);
    ink[filled ? "fillStyle" : "strokeStyle"] = colour;
    if (filled) ink.fill();
    else ink.stroke();
  };
  for (const { number, square: [left, top, side], points, doubtful } of faces) {
    ink.lineWidth = 2 * line;
    ink.strokeStyle = ink.fillStyle = doubtful ? RED : YELLOW;
    ink.strokeRect(left * 2, top * 2, side * 2, side * 2);
    ink.font = "24px system-ui, sans-serif";
    if (faces.length > 1) ink.fillText(number, left * 2 + 8, top * 2 + 28);
    ink.lineWidth = line;
    for (const [x, y, radius] of points) {
      if (radius) circle(x, y, radius, GREEN, false);
      circle(x, y, Math.max(1.3 * line, side / 70), "#000", true);
      circle(x, y, Math.max(line, side / 90), GREEN, true);
    }
  }
}

element.addEventListener("click", (event) => {
  if (event.target.closest(".switch")) video ? stop() : start();
});
