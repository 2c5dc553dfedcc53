'use strict';
// The page's behaviour: asks for the state twice a second, draws it, sends the form.

const STAGES = {
  received: '#8c8c8c', sampled: '#7b5ea7', rendered: '#2f7ed8', denoised: '#d9822b',
  published: '#c0392b',
};
const KEPT = 300;
const PERIOD_MS = 500;
const WIDTH = 600, HEIGHT = 200, LEFT = 40, TOP = 10, BOTTOM = 190;

// The frames to plot after a state came: [number, {stage: ms}], oldest first.
function joined(frames, state) {
  // A viewer that was started again counts from one.
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
    parts.push(svg('line', { x1: LEFT, x2: WIDTH, y1: y, y2: y, stroke: '#bbb' }));
    parts.push(svg('text', { x: 2, y: y + 4 }, `${top * share}`));
  }
  let x = LEFT + 5;
  for (const stage in STAGES) {
    const line = { points: points(frames, stage, top), fill: 'none', stroke: STAGES[stage] };
    parts.push(svg('polyline', line));
    const name = svg('text', { x, y: TOP + 16 }, stage);
    name.style.fill = STAGES[stage];
    parts.push(name);
    x += 110;
  }
  document.getElementById('plot').replaceChildren(...parts);
}

function show(state, frames) {
  const byId = (id) => document.getElementById(id);
  const say = (id, told, otherwise) => {
    byId(id).textContent = told ? told.message : otherwise;
    byId(id).className = told && told.level > 0 ? 'warned' : '';
  };
  say('state', state.stream, 'no synthesizer reports yet');
  say('engine', state.engine, 'unknown');
  const values = { ...(state.engine || {}).values, ...(state.stream || {}).values };
  byId('values').replaceChildren(...Object.entries(values).flatMap(([key, value]) => {
    const dt = document.createElement('dt'), dd = document.createElement('dd');
    dt.textContent = key;
    dd.textContent = value;
    return [dt, dd];
  }));
  if (frames.length) {
    plot(frames);
    byId('latency').textContent = `since the poses' stamp, ms: median ${
      percentile(frames, 50).toFixed(0)}, 95% under ${percentile(frames, 95).toFixed(0)}`;
  }
  offer(byId('objects'), state);
}

// One choice of shape for every object that poses came for; what was chosen stays chosen.
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

// A stream that broke off is asked for again.
function keep(image) {
  image.addEventListener('error', () => setTimeout(() => {
    if (image.getAttribute('src')) image.src = image.getAttribute('src');
  }, PERIOD_MS));
}

function start() {
  let frames = [], started = '';
  const layer = document.getElementById('layer'), layers = document.getElementById('layers');
  layer.addEventListener('change', () => {
    layers.hidden = !layer.value;
    // Without a source the connection ends, and with it the layers' rendering.
    if (layer.value) layers.src = `stream/${layer.value}`; else layers.removeAttribute('src');
  });
  keep(document.getElementById('video'));
  keep(layers);
  const form = document.getElementById('scene'), answer = document.getElementById('answer');
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    answer.textContent = 'asking';
    try {
      const body = new URLSearchParams(new FormData(form));
      answer.textContent = (await (await fetch('scene', { method: 'POST', body })).text()).trim();
    } catch (error) {
      answer.textContent = `not sent: ${error.message}`;
    }
  });
  const ask = async () => {
    try {
      const last = frames.length ? frames[frames.length - 1][0] : 0;
      const state = await (await fetch(`state?after=${last}`)).json();
      // Of another start, and so of another token: all of the page is out of date.
      if (started && state.started !== started) location.reload();
      started = state.started;
      frames = joined(frames, state);
      show(state, frames);
    } catch (error) {
      document.getElementById('state').textContent = 'the viewer does not answer';
    }
    setTimeout(ask, PERIOD_MS);
  };
  ask();
}

if (typeof document !== 'undefined') start();
if (typeof module !== 'undefined') module.exports = { joined, ceiling, points, percentile };
