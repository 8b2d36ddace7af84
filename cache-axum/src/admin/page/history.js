// What the counters were, and what follows from it: ratios, rates, quantiles.
const EVERY_MS = 2000;
const KEPT = 300;
const SMOOTHED = 5;
// The upper bounds of the buckets in which durations are counted, in microseconds.
const BOUNDS = [100, 250, 500, 1e3, 2.5e3, 5e3, 1e4, 2.5e4, 5e4, 1e5, 2.5e5, 5e5, 1e6, 2.5e6, 5e6, 1e7, 3e7, 6e7];
const samples = [];

// Without a store, what takes its time is computing.
const isOfStore = (report) => Boolean(report.store && report.operations);

function remember(report) {
  const { total } = report;
  const timed = isOfStore(report) ? report.operations.read.times : total.compute_times;
  const sample = { at: report.at, hits: total.hits, misses: total.misses, times: new Map(timed.map((one) => [one.up_to_us, one.count])) };
  const last = samples.at(-1);
  // The process has been started anew: its counters are.
  if (last && (sample.hits < last.hits || sample.misses < last.misses || sample.at <= last.at)) samples.length = 0;
  samples.push(sample);
  if (samples.length > KEPT) samples.shift();
}

function between(before, now) {
  const [hits, misses] = [now.hits - before.hits, now.misses - before.misses];
  const seconds = (now.at - before.at) / 1000;
  const counts = [...now.times].map(([bound, n]) => [bound ?? Infinity, n - (before.times.get(bound) ?? 0)]).filter(([, n]) => n > 0).sort((a, b) => a[0] - b[0]);
  return {
    at: now.at,
    ratio: hits + misses > 0 ? hits / (hits + misses) : null,
    reads: (hits + misses) / seconds,
    misses: misses / seconds,
    median: quantile(counts, 0.5),
    slow: quantile(counts, 0.95),
  };
}

const points = () => samples.slice(1).map((now, i) => between(samples[Math.max(0, i + 1 - SMOOTHED)], now));

function lastMinute() {
  const now = samples.at(-1);
  const before = samples.find((one) => one.at >= now.at - 60_000);
  return before && before !== now ? between(before, now) : null;
}

// By even spread within the bucket.
function quantile(counts, q) {
  let left = q * counts.reduce((sum, [, n]) => sum + n, 0);
  for (const [bound, n] of counts) {
    const low = BOUNDS.findLast((one) => one < bound) ?? 0;
    if (left <= n) return bound === Infinity ? low : low + (bound - low) * (left / n);
    left -= n;
  }
  return null;
}
