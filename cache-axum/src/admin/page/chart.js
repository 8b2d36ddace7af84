// Line charts, as SVG.
const SVG = 'http://www.w3.org/2000/svg';
const charts = new Map();

function svg(tag, attributes, text) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  if (text !== undefined) node.textContent = text;
  return node;
}

// chart: { series: [{ key, name, second? }], format, scale?, top?, empty }
function addChart(id, chart) {
  const figure = $(id);
  const plot = figure.querySelector('.plot');
  charts.set(id, { ...chart, figure, plot, at: null, points: [] });
  plot.addEventListener('pointermove', (event) => point(id, event));
  plot.addEventListener('pointerleave', () => point(id, null));
  new ResizeObserver(() => draw(charts.get(id))).observe(plot);
}

function updateChart(id, points) {
  const chart = charts.get(id);
  chart.points = points;
  draw(chart);
}

function point(id, event) {
  const chart = charts.get(id);
  const left = event && event.clientX - chart.plot.getBoundingClientRect().left;
  chart.at = event && chart.toTime ? chart.toTime(left) : null;
  draw(chart);
}

function draw(chart) {
  const { plot, series, format, points } = chart;
  const [width, height] = [plot.clientWidth, plot.clientHeight];
  if (width === 0) return;
  const values = series.flatMap(({ key }) => points.map((one) => one[key])).filter((value) => value != null);
  if (values.length < 2) {
    chart.toTime = null;
    plot.replaceChildren(el('p', { class: 'empty' }, chart.empty));
    chart.figure.querySelector('.legend').replaceChildren();
    return;
  }
  const top = chart.top ?? ceiling(Math.max(...values));
  const edge = { left: 46, right: 10, top: 8, bottom: 20 };
  const end = points.at(-1).at;
  const start = Math.min(points[0].at, end - 60_000);
  const x = (at) => edge.left + ((at - start) / (end - start)) * (width - edge.left - edge.right);
  const y = (value) => height - edge.bottom - (Math.min(value, top) / top) * (height - edge.top - edge.bottom);
  chart.toTime = (px) => start + ((px - edge.left) / (width - edge.left - edge.right)) * (end - start);

  const picture = svg('svg', { viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-label': summary(chart, values, end - start) });
  for (const part of [0, 0.5, 1]) {
    picture.append(
      svg('line', { class: 'grid', x1: edge.left, x2: width - edge.right, y1: y(top * part), y2: y(top * part) }),
      svg('text', { x: edge.left - 8, y: y(top * part) + 4, 'text-anchor': 'end' }, (chart.scale ?? format)(top * part)),
    );
  }
  picture.append(
    svg('text', { x: edge.left, y: height - 4 }, ago(end - start)),
    svg('text', { x: width - edge.right, y: height - 4, 'text-anchor': 'end' }, 'now'),
  );
  const shown = chart.at === null ? points.at(-1) : nearest(points, chart.at);
  for (const { key, second } of series) {
    for (const run of runs(points, key)) {
      const line = run.map((one, i) => `${i ? 'L' : 'M'}${x(one.at).toFixed(1)} ${y(one[key]).toFixed(1)}`).join('');
      const foot = `L${x(run.at(-1).at).toFixed(1)} ${y(0)}L${x(run[0].at).toFixed(1)} ${y(0)}Z`;
      if (!second) picture.append(svg('path', { class: 'area', d: line + foot }));
      picture.append(svg('path', { class: second ? 'second' : 'first', d: line }));
    }
  }
  if (chart.at !== null) picture.append(svg('line', { class: 'cursor', x1: x(shown.at), x2: x(shown.at), y1: edge.top, y2: y(0) }));
  for (const { key, second } of series) {
    if (shown[key] != null) picture.append(svg('circle', { class: second ? 'second' : 'first', cx: x(shown.at), cy: y(shown[key]), r: 4 }));
  }
  plot.replaceChildren(picture);

  const label = ({ key, name, second }) => el('span', second ? { class: 'second' } : {}, `${name} ${shown[key] == null ? NONE : format(shown[key])}`);
  const when = chart.at === null ? [] : [el('time', {}, clock(shown.at))];
  chart.figure.querySelector('.legend').replaceChildren(...series.map(label), ...when);
}

// Stretches without a gap; one point alone is drawn as a short line.
function runs(points, key) {
  const found = [[]];
  for (const one of points) {
    if (one[key] == null) found.push([]);
    else found.at(-1).push(one);
  }
  return found.filter((run) => run.length > 0);
}

const nearest = (points, at) => points.reduce((best, one) => (Math.abs(one.at - at) < Math.abs(best.at - at) ? one : best));
const ago = (ms) => (ms < 90_000 ? `${Math.round(ms / 1000)} s ago` : `${Math.round(ms / 60_000)} min ago`);

function summary({ figure, series, format, points }, values, length) {
  const now = series.map(({ key, name }) => `${name} ${points.at(-1)[key] == null ? 'none' : format(points.at(-1)[key])}`).join(', ');
  const title = figure.querySelector('h2').textContent;
  return `${title}, now: ${now}. Since ${ago(length)} between ${format(Math.min(...values))} and ${format(Math.max(...values))}.`;
}

function ceiling(value) {
  const power = 10 ** Math.floor(Math.log10(value || 1));
  return power * [1, 2, 4, 5, 8, 10].find((step) => step * power >= value);
}
