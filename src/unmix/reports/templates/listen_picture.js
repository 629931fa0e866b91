// Pictures of what is heard: waveform and spectrogram of the sum of the audible clips.

const FFT_SIZE = 2048, COLUMNS = 800, ROWS = 128, RANGE = 75; // RANGE: dB from the brightest to the darkest colour
const LOWEST_HZ = 40, HIGHEST_HZ = 16000;
// From dark to bright, of even lightness steps.
const COLORS = [[0, 0, 4], [40, 11, 84], [101, 21, 110], [159, 42, 99], [212, 72, 66], [245, 125, 21], [250, 193, 39], [252, 255, 164]];

// Sum of the audible clips over their channels, (samples).
function heard(clips, level) {
  const sum = new Float32Array(clips[0].buffer.length);
  for (const clip of clips) {
    const factor = level(clip) / clip.buffer.numberOfChannels;
    for (let channel = 0; factor && channel < clip.buffer.numberOfChannels; channel++) {
      const samples = clip.buffer.getChannelData(channel);
      for (let i = 0; i < sum.length; i++) sum[i] += factor * samples[i];
    }
  }
  return sum;
}

// Draws lowest and highest samples of a part [first, last) per column, in the canvas's text colour.
function drawWaveform(canvas, samples, first, last) {
  const { width, height } = canvas, context = canvas.getContext("2d");
  context.clearRect(0, 0, width, height);
  context.fillStyle = getComputedStyle(canvas).color;
  const step = (last - first) / width, y = (value) => (0.5 - 0.5 * Math.max(-1, Math.min(1, value))) * height;
  for (let column = 0; column < width; column++) {
    const from = Math.floor(first + column * step), to = Math.max(from + 1, Math.floor(first + (column + 1) * step));
    let low = 1, high = -1;
    for (let i = from; i < to; i++) {
      if (samples[i] < low) low = samples[i];
      if (samples[i] > high) high = samples[i];
    }
    context.fillRect(column, y(high), 1, Math.max(1, y(low) - y(high)));
  }
}

// In-place radix-2 FFT of a complex signal.
function fft(real, imaginary) {
  const size = real.length;
  for (let i = 1, j = 0; i < size; i++) {
    let bit = size >> 1;
    for (; j & bit; bit >>= 1) j ^= bit;
    j ^= bit;
    if (i < j) [real[i], real[j], imaginary[i], imaginary[j]] = [real[j], real[i], imaginary[j], imaginary[i]];
  }
  for (let length = 2; length <= size; length *= 2) {
    const half = length / 2, stride = size / length;
    for (let start = 0; start < size; start += length) {
      for (let k = 0; k < half; k++) {
        const cosine = COSINES[k * stride], sine = SINES[k * stride], a = start + k, b = a + half;
        const x = real[b] * cosine + imaginary[b] * sine, y = imaginary[b] * cosine - real[b] * sine;
        real[b] = real[a] - x; imaginary[b] = imaginary[a] - y;
        real[a] += x; imaginary[a] += y;
      }
    }
  }
}
const ANGLES = Array.from({ length: FFT_SIZE / 2 }, (_, k) => (2 * Math.PI * k) / FFT_SIZE);
const COSINES = Float32Array.from(ANGLES, Math.cos), SINES = Float32Array.from(ANGLES, Math.sin);
const WINDOW = Float32Array.from({ length: FFT_SIZE }, (_, i) => Math.sin((Math.PI * i) / FFT_SIZE) ** 2);

// Power in dB in logarithmic bands, of COLUMNS windows spread over a part of the samples; lowest band first.
// Pauses between columns, so that the page answers meanwhile; null when `isWanted()` turns false.
async function spectrogram(samples, first, last, sampleRate, isWanted = () => true) {
  const bands = new Float32Array(COLUMNS * ROWS), real = new Float32Array(FFT_SIZE), imaginary = new Float32Array(FFT_SIZE);
  const highest = Math.min(HIGHEST_HZ, sampleRate / 2);
  const bin = (row) => (LOWEST_HZ * (highest / LOWEST_HZ) ** (row / ROWS) * FFT_SIZE) / sampleRate;
  for (let column = 0; column < COLUMNS; column++) {
    const center = first + ((column + 0.5) / COLUMNS) * (last - first), start = Math.round(center - FFT_SIZE / 2);
    for (let i = 0; i < FFT_SIZE; i++) real[i] = (samples[start + i] ?? 0) * WINDOW[i];
    imaginary.fill(0);
    fft(real, imaginary);
    for (let row = 0; row < ROWS; row++) {
      const low = Math.round(bin(row)), high = Math.max(low + 1, Math.round(bin(row + 1)));
      let power = 0;
      for (let k = low; k < high; k++) power += real[k] * real[k] + imaginary[k] * imaginary[k];
      bands[column * ROWS + row] = 10 * Math.log10(power / (high - low) + 1e-12);
    }
    if (column % 100 === 99) {
      await new Promise((resume) => setTimeout(resume));
      if (!isWanted()) return null;
    }
  }
  return bands;
}

// Share of the height of a picture at which a frequency stands, from the bottom.
const height = (hertz, sampleRate) => Math.log(hertz / LOWEST_HZ) / Math.log(Math.min(HIGHEST_HZ, sampleRate / 2) / LOWEST_HZ);

// Draws bands of `spectrogram`; `loudest` dB has the brightest colour.
function drawSpectrogram(canvas, bands, loudest) {
  const image = new ImageData(COLUMNS, ROWS);
  for (let column = 0; column < COLUMNS; column++) {
    for (let row = 0; row < ROWS; row++) {
      const share = Math.max(0, Math.min(1, 1 + (bands[column * ROWS + row] - loudest) / RANGE));
      const position = share * (COLORS.length - 1), index = Math.min(COLORS.length - 2, Math.floor(position));
      const pixel = 4 * ((ROWS - 1 - row) * COLUMNS + column);
      for (let i = 0; i < 3; i++) {
        image.data[pixel + i] = COLORS[index][i] + (position - index) * (COLORS[index + 1][i] - COLORS[index][i]);
      }
      image.data[pixel + 3] = 255;
    }
  }
  [canvas.width, canvas.height] = [COLUMNS, ROWS];
  canvas.getContext("2d").putImageData(image, 0, 0);
}
