// What is heard: the strongest tone below the beep (it tells the language) and when beeps start.

const TONE_HZ_MAX = 1500; // the beep at 1760 Hz stays out
const TONE_HZ_MIN = 100;
const TONE_DECIBELS_MIN = -70;

export class Listener {
  static async attach(video, beepHz) {
    const context = new AudioContext({ latencyHint: 'interactive' });
    await context.audioWorklet.addModule('/harness/beep_worklet.js');
    await context.resume();
    return new Listener(context, video, beepHz);
  }

  constructor(context, video, beepHz) {
    this.context = context;
    this.beeps = []; // in the page's clock, milliseconds
    const source = context.createMediaElementSource(video);
    this.analyser = context.createAnalyser();
    this.analyser.fftSize = 16384;
    this.analyser.smoothingTimeConstant = 0;
    const detector = new AudioWorkletNode(context, 'beep-detector', { processorOptions: { hz: beepHz || 1760 } });
    detector.port.onmessage = ({ data }) => this.beeps.push(this.pageTime(data));
    source.connect(this.analyser);
    source.connect(detector);
    this.analyser.connect(context.destination);
  }

  // When the graph took the samples out of the element. The element's clock knows nothing of what
  // the graph adds after that, so the output latency is not the player's fault and is left out.
  pageTime(contextTime) {
    const { contextTime: at, performanceTime } = this.context.getOutputTimestamp();
    return performanceTime + (contextTime - at - this.context.outputLatency - this.context.baseLatency) * 1000;
  }

  get latencyMs() {
    return [this.context.outputLatency * 1000, this.context.baseLatency * 1000];
  }

  /** Frequency of the strongest tone in the last third of a second, or null in silence. */
  toneHz() {
    const spectrum = new Float32Array(this.analyser.frequencyBinCount);
    this.analyser.getFloatFrequencyData(spectrum);
    const binHz = this.context.sampleRate / this.analyser.fftSize;
    let best = Math.ceil(TONE_HZ_MIN / binHz);
    for (let bin = best; bin * binHz < TONE_HZ_MAX; bin++) if (spectrum[bin] > spectrum[best]) best = bin;
    return spectrum[best] > TONE_DECIBELS_MIN ? Math.round(best * binHz) : null;
  }
}
