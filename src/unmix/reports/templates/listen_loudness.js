// Loudness of what is heard, after ITU-R BS.1770-4, so that a blind test is not decided by level.

const BLOCK = 0.4, HOP = 0.1, ABSOLUTE_GATE = -70, RELATIVE_GATE = -10; // seconds, LUFS, LU

// The two filters of K-weighting at any rate, from their analogue prototypes (B. De Man's, which agree with the tables for
// 48 kHz): a shelf of +4 dB for the head, and a high-pass.
function weighting(rate) {
  const tan = (hertz) => Math.tan((Math.PI * hertz) / rate);
  const poles = (k, q) => [1 + k / q + k * k, 2 * (k * k - 1), 1 - k / q + k * k];
  const shelf = tan(1681.9744509555319), shelfQ = 0.7071752369554193, high = 10 ** (3.99984385397 / 20), band = high ** 0.499666774155;
  const pass = tan(38.13547087613982), passQ = 0.5003270373253953;
  const zeros = [high + (band * shelf) / shelfQ + shelf ** 2, 2 * (shelf ** 2 - high), high - (band * shelf) / shelfQ + shelf ** 2];
  const passPoles = poles(pass, passQ);
  return [[zeros, poles(shelf, shelfQ)], [[1, -2, 1].map((value) => value * passPoles[0]), passPoles]];
}

// Mean squares of the K-weighted sum of the audible clips in blocks of 0.4 s, summed over channels.
async function blockPowers(clips, level, [start, end]) {
  const { sampleRate: rate, numberOfChannels: channels } = clips[0].buffer, length = Math.round((end - start) * rate);
  const context = new OfflineAudioContext({ length, sampleRate: rate, numberOfChannels: channels });
  const graph = buildGraph(context, clips, level);
  const filters = weighting(rate).map(([zeros, poles]) => new IIRFilterNode(context, { feedforward: zeros, feedback: poles }));
  graph.out.connect(filters[0]).connect(filters[1]).connect(context.destination);
  graph.start(0, start, null);
  const weighted = await context.startRendering(), size = Math.round(BLOCK * rate), hop = Math.round(HOP * rate), powers = [];
  for (let first = 0; first + size <= length; first += hop) {
    let sum = 0;
    for (let channel = 0; channel < channels; channel++) {
      const samples = weighted.getChannelData(channel);
      for (let i = first; i < first + size; i++) sum += samples[i] ** 2;
    }
    powers.push(sum / size);
  }
  return powers;
}

const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
const lufs = (power) => -0.691 + 10 * Math.log10(power);

// Integrated loudness in LUFS; null when there is less than a block, or nothing above the absolute gate.
async function loudness(clips, level, span) {
  const powers = (await blockPowers(clips, level, span)).filter((power) => lufs(power) > ABSOLUTE_GATE);
  if (!powers.length) return null;
  const gate = lufs(mean(powers)) + RELATIVE_GATE;
  return lufs(mean(powers.filter((power) => lufs(power) > gate)));
}
