// Songs that are dropped on the served page: sent to the server, and heard as further tracks.

let sending = null; // aborts the song that is being separated

// Reads an answer line by line; `take` receives each line's object.
async function eachLine(answer, take) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const lines = (text + value).split("\n");
    text = lines.pop();
    for (const line of lines) if (line) take(JSON.parse(line));
  }
}

// Sends a song; returns its track and clips {"method-stem": Base64}. Throws what the server complains about.
async function separate(file, start, signal) {
  const query = new URLSearchParams({ name: file.name, ...(start === "" ? {} : { start }) });
  const answer = await fetch(`/songs?${query}`, { method: "POST", body: file, signal });
  if (!answer.ok) throw new Error((await answer.text()).trim());
  const clips = {};
  let track = null;
  await eachLine(answer, (line) => {
    if (line.error) throw new Error(line.error);
    if (line.clip) clips[line.clip] = line.audio;
    if (line.track) track = line.track;
    if (line.method) showShare(line.share, line.method);
  });
  if (!track) throw new Error("the server ended the connection");
  return { track, clips };
}

function showShare(share, method) {
  at("drop-doing").hidden = share === null;
  at("drop-share").value = share ?? 0;
  at("drop-percent").textContent = share === null ? "" : `${Math.floor(100 * share)} %: ${method}`;
}

// The same size limit as the server's, before anything is sent.
function refusal(files) {
  if (blind) return "End the blind test first.";
  if (sending) return "Busy: a song is being separated; wait for it, or cancel it.";
  if (files.length !== 1) return files.length ? "One song at a time: drop a single file." : "That is no file.";
  if (!files[0].size) return `${files[0].name}: the file is empty.`;
  const size = files[0].size / 1e6, most = content.max_upload_mb;
  if (size > most) return `${files[0].name}: got ${size.toFixed(1)} MB, at most ${most} MB: start listen.py with a larger max_upload_mb.`;
  return at("song-start").validity.valid ? "" : "From second: a number from 0 on is needed, or nothing for the loudest part.";
}

async function drop(files) {
  const why = refusal(files);
  if (why) return tell(why);
  const [file] = files;
  sending = new AbortController();
  at("drop-stop").hidden = false;
  tell(`Separating ${file.name}\u2026`);
  showShare(0, "sending");
  try {
    const { track, clips } = await separate(file, at("song-start").value, sending.signal);
    tell(addTrack(track, clips));
  } catch (error) {
    const gone = error instanceof TypeError ? "the server does not answer: has it been ended?" : error.message;
    tell(error.name === "AbortError" ? `${file.name}: cancelled.` : `${file.name}: ${gone}`);
  }
  sending = null;
  at("drop-stop").hidden = true;
  showShare(null);
}

function tell(text) {
  at("drop").scrollIntoView({ block: "nearest" });
  at("drop-status").textContent = text;
  at("song").value = ""; // the same file can be chosen again
}

// Adds a track and plays it, unless a blind test is under way; returns what is said about it.
function addTrack(track, clips) {
  const index = tracks.push(track) - 1;
  for (const [key, clip] of Object.entries(clips)) {
    document.body.append(make("script", { type: "text/plain", id: `clip-${index}-${key}` }, clip));
  }
  at("track").append(make("option", { value: index }, track.name));
  at("downloads").prepend(downloads(track, clips));
  if (!blind) {
    if (state.method === REFERENCE) state.method = methods.findIndex((_, method) => clips[`${method}-0`] && method > REFERENCE);
    if (state.method < 0) state.method = MIXTURE;
    at("track").value = index;
    open(index);
  }
  return `${track.name}: ${track.seconds.toFixed(1)} s from ${clock(track.start)} are the last entry of the list of tracks, without a reference or SDR.`;
}

// Buttons that save the clips of a track, which this page holds.
function downloads(track, clips) {
  const ending = content.format.toLowerCase(), stem = track.name.replace(/\.[^.]*$/, "");
  const rows = methods.map((name, method) => {
    const own = Object.keys(clips).filter((key) => key.startsWith(`${method}-`));
    const buttons = own.map((key) => {
      const source = method === MIXTURE ? "all" : sources[Number(key.split("-")[1])];
      return button(`Save ${name} ${source}`, {}, () => save(`${stem}.${name}.${source}.${ending}`, clips[key], ending), source);
    });
    return own.length ? make("div", { class: "fields" }, make("b", {}, name), ...buttons) : "";
  });
  return make("details", {}, make("summary", {}, `Save what you hear of ${track.name} (${content.format})`), ...rows);
}

function save(name, base64, ending) {
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  const address = URL.createObjectURL(new Blob([bytes], { type: `audio/${ending}` }));
  make("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60000);
}

if (location.protocol.startsWith("http")) {
  at("drop").hidden = false;
  at("song").addEventListener("change", (event) => drop([...event.target.files]));
  at("drop-stop").addEventListener("click", () => sending?.abort());
  const over = (isOver) => (event) => {
    event.preventDefault(); // else the browser opens the file in place of the page
    document.body.classList.toggle("over", isOver);
  };
  addEventListener("dragover", over(true));
  addEventListener("dragleave", over(false));
  addEventListener("drop", over(false));
  addEventListener("drop", (event) => drop([...event.dataTransfer.files]));
}
