// The audio of the listening page: all clips of a track play together, and gains decide which of them are heard.

// Time constant of a switch, in seconds: after 20 ms it is complete to -69 dB, and no sample changes by more than 1%.
// The gains of what leaves and what comes add up to 1: methods are much alike, so that equal powers would swell.
const SWITCH = 0.0025;

// Length of the cross-fade from the end of a loop to its start, in seconds: a jump of the waveform would tick.
const SEAM = 0.01;

// One source and one gain per clip {buffer, method, stem}; `level(clip)` is 0 or 1. The context may be an offline one.
function buildGraph(context, clips, level) {
  const out = new GainNode(context);
  const voices = clips.map((clip) => {
    const source = new AudioBufferSourceNode(context, { buffer: clip.buffer });
    const node = new GainNode(context, { gain: level(clip) });
    node.connect(out);
    return { clip, source, node, gain: node.gain };
  });
  let sources = [];
  return {
    out,
    voices,
    // All sources start at the same time of the context, with the same loop: they stay together to the sample.
    start(when, offset, loop) {
      if (!loop) for (const { source, node } of voices) source.connect(node);
      sources = loop ? looped(context, voices, loop) : voices.map(({ source }) => source);
      for (const source of sources) source.start(when, offset);
    },
    set(newLevel, when) {
      for (const { clip, gain } of voices) gain.setTargetAtTime(newLevel(clip), when, SWITCH);
    },
    // Fades out before the sources end, which would click.
    stop(when) {
      out.gain.setTargetAtTime(0, when, SWITCH);
      for (const source of sources) source.stop(when + 10 * SWITCH);
    },
  };
}

// Loops voices over [start, end] with a cross-fade; returns all sources. A second source of each clip loops SEAM earlier, so
// that it plays what precedes the start while the first one plays the end, and else the same as the first. A control signal
// with the loop of the first, 1 and then falling to 0 at the end, is the gain of the first; 1 minus it, that of the second.
function looped(context, voices, [start, end]) {
  const { sampleRate } = voices[0].clip.buffer, length = Math.round(end * sampleRate), fade = Math.round(SEAM * sampleRate);
  const buffer = new AudioBuffer({ length, sampleRate });
  buffer.copyToChannel(Float32Array.from({ length }, (_, i) => Math.min(1, (length - i) / fade)), 0);
  const control = new AudioBufferSourceNode(context, { buffer }), inverse = new GainNode(context, { gain: -1 });
  control.connect(inverse);
  const loop = (source, shift) => Object.assign(source, { loop: true, loopStart: start - shift, loopEnd: end - shift });
  const pairs = voices.map(({ clip, source, node }) => {
    const second = new AudioBufferSourceNode(context, { buffer: clip.buffer });
    const [falling, rising] = [new GainNode(context, { gain: 0 }), new GainNode(context, { gain: 1 })];
    control.connect(falling.gain);
    inverse.connect(rising.gain);
    source.connect(falling).connect(node);
    second.connect(rising).connect(node);
    return [loop(source, 0), loop(second, fade / sampleRate)];
  });
  return [loop(control, 0), ...pairs.flat()];
}

// Plays the clips of one track. A change of position or loop starts new sources: if the loop points of running ones were
// moved one by one, those that have just passed an end would be left behind.
class Player {
  constructor() {
    this.clips = [];
    this.level = () => 0;
    this.region = null; // [start, end] in seconds, when looping
    this.volume = 1;
    this.offset = 0; // position while paused, and at the last start
    this.graph = null;
    this.onend = () => {};
  }

  get duration() { return this.clips.length ? this.clips[0].buffer.duration : 0; }

  get isPlaying() { return this.graph !== null; }

  get position() {
    if (!this.isPlaying) return this.offset;
    const now = this.offset + Math.max(0, this.context.currentTime - this.startedAt);
    const [start, end] = this.loop ?? [0, Infinity];
    if (now < end) return Math.min(now, this.duration);
    return start + ((now - start) % (end - start));
  }

  // What is looped: whole samples, and a start that enough precedes for the cross-fade.
  get loop() {
    if (!this.region) return null;
    const [start, end] = this.region.map((seconds) => this.snap(seconds));
    return [Math.max(start, this.snap(SEAM)), end];
  }

  // The nearest whole sample: between two, the browser would interpolate.
  snap(seconds) {
    const rate = this.clips[0].buffer.sampleRate;
    return Math.round(seconds * rate) / rate;
  }

  // The context is made by a click or key, before which browsers allow no sound.
  open(sampleRate) {
    if (this.context) return;
    try {
      this.context = new AudioContext({ sampleRate, latencyHint: "interactive" });
    } catch {
      this.context = new AudioContext(); // a rate that the hardware refuses: the browser converts all clips alike
    }
    this.master = new GainNode(this.context, { gain: this.volume });
    this.analyser = new AnalyserNode(this.context, { fftSize: 2048 });
    this.master.connect(this.analyser).connect(this.context.destination);
  }

  play() {
    if (!this.clips.length) return;
    this.open(this.clips[0].buffer.sampleRate);
    this.context.resume();
    this.startAt(this.position);
  }

  startAt(position) {
    this.halt();
    const [first, last] = this.region ?? [0, this.duration];
    this.offset = this.snap(position < first || position >= last - 0.01 ? first : position);
    this.startedAt = this.context.currentTime + 0.02;
    const graph = buildGraph(this.context, this.clips, this.level);
    graph.out.gain.setValueAtTime(0, this.context.currentTime);
    graph.out.gain.setTargetAtTime(1, this.startedAt, SWITCH);
    graph.out.connect(this.master);
    graph.start(this.startedAt, this.offset, this.loop);
    graph.voices[0].source.onended = () => {
      if (this.graph !== graph) return;
      [this.graph, this.offset] = [null, 0];
      this.onend();
    };
    this.graph = graph;
  }

  halt() {
    if (this.graph) this.graph.stop(this.context.currentTime);
    this.graph = null;
  }

  pause() {
    const position = this.position;
    this.halt();
    this.offset = position;
  }

  seek(position) {
    const there = Math.max(0, Math.min(position, this.duration));
    if (this.isPlaying) this.startAt(there);
    else this.offset = there;
  }

  setRegion(region) {
    const position = this.position; // by the former region
    this.region = region;
    if (this.isPlaying) this.startAt(position);
  }

  setLevels(level) {
    this.level = level;
    if (this.graph) this.graph.set(level, this.context.currentTime);
  }

  setVolume(volume) {
    this.volume = volume;
    if (this.context) this.master.gain.setTargetAtTime(volume, this.context.currentTime, SWITCH);
  }

  // Largest sample of the last 2048 that were heard, 0 to 1.
  peak() {
    if (!this.isPlaying) return 0;
    const samples = new Float32Array(this.analyser.fftSize);
    this.analyser.getFloatTimeDomainData(samples);
    return samples.reduce((largest, sample) => Math.max(largest, Math.abs(sample)), 0);
  }
}

// Decodes Base64 of an audio file at its own sample rate, also without sound hardware.
async function decode(base64, sampleRate) {
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  return new OfflineAudioContext({ length: 1, sampleRate }).decodeAudioData(bytes.buffer);
}
