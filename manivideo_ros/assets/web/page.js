'use strict';
// Fetches the state twice a second, shows it, and sends the forms.

const STAGES = {
  received: '#8c8c8c', sampled: '#7b5ea7', rendered: '#2f7ed8', denoised: '#d9822b',
  published: '#c0392b',
};
const KEPT = 300;
const PERIOD_MS = 500;
const LONG = 40;  // characters of a value that gets lines of its own
const WIDTH = 600, LEFT = 55, TOP = 10, BOTTOM = 190;

// The frames to plot, with those of a new state: [number, {stage: ms}], oldest first.
function joined(frames, state) {
  // A restarted viewer counts from one.
  const before = frames.length && state.last < frames[frames.length - 1][0] ? [] : frames;
  return before.concat(state.latencies).slice(-KEPT);
}

// The top of the plot: the next of 1, 2, 5 times a power of ten above the largest latency (ms).
function ceiling(frames) {
  let most = 10;
  for (const [, ms] of frames) for (const name in STAGES) most = Math.max(most, ms[name] || 0);
  const power = 10 ** Math.floor(Math.log10(most));
  return [1, 2, 5, 10].map((n) => n * power).find((n) => n >= most);
}

// Points of a polyline for one stage.
function points(frames, stage, top) {
  return frames.map(([, ms], i) => {
    const x = LEFT + (WIDTH - LEFT) * (KEPT - frames.length + i) / (KEPT - 1);
    const y = BOTTOM - (BOTTOM - TOP) * Math.max(0, ms[stage] || 0) / top;
    return `${x.toFixed(1)},${y.toFixed(1)}`;
  }).join(' ');
}

// The p-th percentile of the whole latency, ms.
function percentile(frames, p) {
  const sorted = frames.map(([, ms]) => ms.published).sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(p / 100 * sorted.length))];
}

function svg(name, attributes, text) {
  const made = document.createElementNS('http://www.w3.org/2000/svg', name);
  for (const key in attributes) made.setAttribute(key, attributes[key]);
  if (text !== undefined) made.textContent = text;
  return made;
}

function plot(frames) {
  const top = ceiling(frames), parts = [];
  for (const share of [0, 0.5, 1]) {
    const y = BOTTOM - (BOTTOM - TOP) * share;
    parts.push(svg('line', { x1: LEFT, x2: WIDTH, y1: y, y2: y }));
    parts.push(svg('text', { x: 2, y: y + 7 }, `${top * share}`));
  }
  let x = LEFT + 5;
  for (const stage in STAGES) {
    const line = { points: points(frames, stage, top), fill: 'none', stroke: STAGES[stage] };
    parts.push(svg('polyline', line));
    const name = svg('text', { x, y: TOP + 16 }, stage);
    name.style.fill = STAGES[stage];
    parts.push(name);
    x += 107;
  }
  byId('plot').replaceChildren(...parts);
}

const byId = (id) => document.getElementById(id);

function show(state, frames) {
  const put = (id, status, otherwise) => {
    byId(id).textContent = status ? status.message : otherwise;
    byId(id).className = status && status.level > 0 ? 'warned' : '';
  };
  put('state', state.stream, 'no synthesizer reports yet');
  put('engine', state.engine, 'unknown');
  const values = { ...(state.engine || {}).values, ...(state.stream || {}).values };
  const isLong = ([, value]) => value.length > LONG;
  const sorted = Object.entries(values).sort((a, b) => isLong(a) - isLong(b));
  byId('values').replaceChildren(...sorted.map(([key, value]) => {
    const [div, dt, dd] = ['div', 'dt', 'dd'].map((name) => document.createElement(name));
    dt.textContent = key;
    dd.textContent = value;
    div.className = isLong([key, value]) ? 'long' : '';
    div.append(dt, dd);
    return div;
  }));
  if (frames.length) {
    plot(frames);
    byId('latency').textContent = `since the poses' stamp, ms: median ${
      percentile(frames, 50).toFixed(0)}, 95% under ${percentile(frames, 95).toFixed(0)}`;
  }
  offer(byId('objects'), state);
  showRecording(state.recording);
}

function showRecording({ phase, bag, seconds, message }) {
  const start = byId('record-start'), stop = byId('record-stop'), place = byId('recording');
  start.hidden = !['idle', 'starting'].includes(phase);
  stop.hidden = !['recording', 'stopping'].includes(phase);
  start.disabled = phase === 'starting';
  stop.disabled = phase === 'stopping';
  start.title = stop.title = place.title = message;
  place.className = phase === 'recording' ? 'on' : '';
  place.textContent = {
    disabled: '', idle: '', recording: `${clock(seconds)} into ${bag}`,
  }[phase] ?? `${phase} ${bag}`;
  // A recorder can end by itself, as where the disk is full.
  if (phase === 'recording' || message) byId('record-answer').textContent = message;
}

// Seconds as m:ss, from an hour on h:mm:ss.
function clock(seconds) {
  const whole = Math.floor(seconds);
  const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return (parts[0] ? parts : parts.slice(1)).map(
    (part, i) => (i ? `${part}`.padStart(2, '0') : part)).join(':');
}

// One choice of shape for each object that has poses; what was chosen stays chosen.
function offer(place, state) {
  const shown = place.dataset.ids, ids = JSON.stringify(state.objects);
  if (shown === ids || !state.objects.length) return;
  const chosen = {};
  for (const old of place.querySelectorAll('select')) chosen[old.name] = old.value;
  place.dataset.ids = ids;
  place.replaceChildren(...state.objects.map((id) => {
    const label = document.createElement('label'), select = document.createElement('select');
    select.name = `object:${id}`;
    for (const shape of state.shapes) select.append(new Option(shape, shape));
    const before = chosen[select.name];
    select.value = before || (state.shapes.includes(id) ? id : state.shapes[0]);
    label.append(`${id} `, select);
    return label;
  }));
}

// Reopens a stream that broke off.
function keep(image) {
  image.addEventListener('error', () => setTimeout(() => {
    if (image.getAttribute('src')) image.src = image.getAttribute('src');
  }, PERIOD_MS));
}

// Sends a form and shows the answer below it.
function send(form) {
  const answer = form.querySelector('output');
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    const to = event.submitter && event.submitter.hasAttribute('formaction')
      ? event.submitter.formAction : form.action;
    answer.textContent = 'sent';
    try {
      const body = new URLSearchParams(new FormData(form));
      answer.textContent = (await (await fetch(to, { method: 'POST', body })).text()).trim();
    } catch (error) {
      answer.textContent = `not sent: ${error.message}`;
    }
  });
}

function start() {
  let frames = [], started = '';
  const layer = byId('layer'), layers = byId('layers');
  layer.addEventListener('change', () => {
    layers.hidden = !layer.value;
    // Without a source the connection ends, and with it the layers' rendering.
    if (layer.value) layers.src = `stream/${layer.value}`; else layers.removeAttribute('src');
  });
  // The page counts as loaded though no video comes yet.
  const video = byId('video');
  addEventListener('load', () => { video.src = 'stream/video'; });
  video.addEventListener('load', () => {
    video.parentElement.style.setProperty('--aspect', video.naturalWidth / video.naturalHeight);
  });
  keep(video);
  keep(layers);
  send(byId('scene'));
  send(byId('record'));
  const ask = async () => {
    try {
      const last = frames.length ? frames[frames.length - 1][0] : 0;
      const state = await (await fetch(`state?after=${last}`)).json();
      // The viewer was restarted: the page's token is no longer valid.
      if (started && state.started !== started) location.reload();
      started = state.started;
      frames = joined(frames, state);
      show(state, frames);
    } catch (error) {
      byId('state').textContent = 'the viewer does not answer';
    }
    setTimeout(ask, PERIOD_MS);
  };
  ask();
}

if (typeof document !== 'undefined') start();
if (typeof module !== 'undefined') module.exports = { joined, ceiling, clock, points, percentile };
