// The audio of the listening page: all clips of a track play together, and gains decide which of them are heard.

// Time constant of a switch, in seconds: after 20 ms it is complete to -69 dB, and no sample changes by more than 1%.
// The gains of what leaves and what comes add up to 1: methods are much alike, so that equal powers would swell.
const SWITCH = 0.0025;

// One source and one gain per clip {buffer, method, stem}; `level(clip)` is 0 or 1. The context may be an offline one.
function buildGraph(context, clips, level) {
  const out = new GainNode(context);
  const voices = clips.map((clip) => {
    const source = new AudioBufferSourceNode(context, { buffer: clip.buffer });
    const gain = new GainNode(context, { gain: level(clip) });
    source.connect(gain).connect(out);
    return { clip, source, gain: gain.gain };
  });
  return {
    out,
    voices,
    // All sources start at the same time of the context, with the same loop: they stay together to the sample.
    start(when, offset, region) {
      for (const { source } of voices) {
        if (region) [source.loop, source.loopStart, source.loopEnd] = [true, ...region];
        source.start(when, offset);
      }
    },
    set(newLevel, when) {
      for (const { clip, gain } of voices) gain.setTargetAtTime(newLevel(clip), when, SWITCH);
    },
    // Fades out before the sources end, which would click.
    stop(when) {
      out.gain.setTargetAtTime(0, when, SWITCH);
      for (const { source } of voices) source.stop(when + 10 * SWITCH);
    },
  };
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
    if (!this.region || now < this.region[1]) return Math.min(now, this.duration);
    const [start, end] = this.region;
    return start + ((now - start) % (end - start));
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
    graph.start(this.startedAt, this.offset, this.region?.map((end) => this.snap(end)));
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
