// Finds the onset of the beep: a Goertzel filter over each block of 128 samples (2.7 ms).

const QUIET_SECONDS_MIN = 0.3; // between two beeps, so that one beep counts once
const AMPLITUDE_MIN = 0.2; // the beep has 0.6, and a tone leaks less than 0.1 into the filter

class BeepDetector extends AudioWorkletProcessor {
  constructor({ processorOptions }) {
    super();
    this.coefficient = 2 * Math.cos((2 * Math.PI * processorOptions.hz) / sampleRate);
    this.lastBeepTime = -1;
  }

  process([input]) {
    const samples = input[0];
    if (samples && this.amplitude(samples) > AMPLITUDE_MIN) {
      if (currentTime - this.lastBeepTime > QUIET_SECONDS_MIN) this.port.postMessage(currentTime);
      this.lastBeepTime = currentTime;
    }
    return true;
  }

  amplitude(samples) {
    let before = 0;
    let last = 0;
    for (const sample of samples) {
      const next = sample + this.coefficient * last - before;
      before = last;
      last = next;
    }
    const power = before * before + last * last - this.coefficient * before * last;
    return (2 * Math.sqrt(Math.max(power, 0))) / samples.length;
  }
}

registerProcessor('beep-detector', BeepDetector);
