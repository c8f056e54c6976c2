// Two things to play with, without a server: what each loss does to the logits, and how sure one can be of a printed difference.
// The formulas are those of lib/marginface/margins.py and of book/audit; tests hold them against these.
const marginface = (() => {
  const radians = (degrees) => (degrees * Math.PI) / 180;
  const psi = (theta, m) => {
    const k = Math.min(Math.floor((m * theta) / Math.PI), m - 1);
    return (-1) ** k * Math.cos(m * theta) - 2 * k;
  };
  const none = (theta) => Math.cos(theta);
  const f = (theta, p) => {
    const distance = Math.max(radians(p.between), 0.01);
    const shift = p.alpha * (Math.exp(-theta / distance) - Math.exp(-(p.a + radians(p.b) / distance)));
    return p.sign === "released" ? -shift : shift;
  };
  const slider = (label, min, max, step, value) => ({ label, min, max, step, value });
  const m = slider("m", 0, 1, 0.05, 0.5);
  // T and U over θ in radians; U of InterFace and RArc moves with the sample's own angle or the margin
  const losses = {
    NormFace: { parameters: {}, T: none, U: none },
    SphereFace: {
      parameters: { m: slider("m", 1, 4, 1, 4), lam: slider("λ", 0, 100, 1, 5) },
      T: (theta, p) => (p.lam * Math.cos(theta) + psi(theta, p.m)) / (1 + p.lam),
      U: none,
    },
    CosFace: { parameters: { m: { ...m, value: 0.35 } }, T: (theta, p) => Math.cos(theta) - p.m, U: none },
    ArcFace: { parameters: { m }, T: (theta, p) => Math.cos(theta + p.m), U: none },
    CombinedMargin: {
      parameters: { m1: slider("m1", 1, 2, 0.1, 1), m2: slider("m2", 0, 1, 0.05, 0.3), m3: slider("m3", 0, 1, 0.05, 0.2) },
      T: (theta, p) => Math.cos(p.m1 * theta + p.m2) - p.m3,
      U: none,
    },
    RedefinedArcFace: {
      parameters: { m1: { ...m, label: "m1", value: 0.3 }, m2: { ...m, label: "m2", value: 0.2 } },
      T: (theta, p) => Math.cos(theta + p.m1),
      U: (theta, p) => Math.cos(theta - p.m2),
    },
    InterFace: {
      parameters: {
        m,
        alpha: slider("α", 0, 0.3, 0.01, 0.1),
        a: slider("a", 0, 1, 0.05, 0.2),
        b: slider("b, degrees", 0, 60, 5, 0),
        own: slider("θ to the own class, degrees", 0, 120, 1, 60),
        between: slider("angle between the two class weights, degrees", 10, 170, 5, 90),
        sign: { label: "sign of f", words: ["paper", "released"], value: "paper" },
      },
      T: (theta, p) => Math.cos(theta + p.m),
      U: (theta, p) => Math.cos(theta - f(radians(p.own), p)),
    },
  };

  // how often |z| is as large by chance (Abramowitz and Stegun, 7.1.26, to 1.5e-7)
  function chance(z) {
    const x = Math.abs(z) / Math.SQRT2;
    const t = 1 / (1 + 0.3275911 * x);
    return t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429)))) * Math.exp(-x * x);
  }

  // errors of both in pairs, and those that they share, as a share of the fewer
  function certainty({ pairs, better, worse, overlap, spread, runs }) {
    const errors = [better, worse].map((accuracy) => pairs * (1 - accuracy / 100));
    const shared = overlap * Math.min(...errors);
    const [b, c] = errors.map((count) => count - shared);
    const difference = (c - b) / pairs;
    const perPair = (b + c) / pairs - difference ** 2; // variance of one pair
    const perRun = 2 * (spread / 100) ** 2;
    const error = Math.sqrt(perPair / pairs + perRun / runs);
    const needed = (2.8 * 2.8) ** -1 * difference ** 2; // variance at which it is shown with a power of 80 %
    const left = { pairs: needed - perRun / runs, runs: needed - perPair / pairs };
    return {
      difference: 100 * difference,
      error: 100 * error,
      interval: [100 * (difference - 1.96 * error), 100 * (difference + 1.96 * error)],
      shown: 100 * 2.8 * error,
      pairs: left.pairs > 0 ? Math.ceil(perPair / left.pairs) : Infinity,
      runs: left.runs > 0 ? Math.ceil(perRun / left.runs) : Infinity,
      both: { pairs: Math.ceil((2 * perPair) / needed), runs: Math.ceil((2 * perRun) / needed) }, // half of that variance each
      chance: chance(difference / error),
    };
  }
  return { losses, f, radians, certainty };
})();

if (typeof document !== "undefined") {
  const { losses, f, radians, certainty } = marginface;
  const element = (tag, properties = {}, ...children) => {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...children);
    return made;
  };

  // a line chart over 0 to `right` degrees; what it shows is also said in words
  function chart(title, lines, right, low, high) {
    const [width, height, pad] = [460, 300, 36];
    const x = (degrees) => pad + (degrees / right) * (width - 1.5 * pad);
    const y = (value) => 12 + ((high - value) / (high - low)) * (height - pad - 12);
    const parts = [];
    for (let degrees = 0; degrees <= right; degrees += 30)
      parts.push(`<line class="grid" x1="${x(degrees)}" x2="${x(degrees)}" y1="${y(high)}" y2="${y(low)}"/>` +
        `<text x="${x(degrees)}" y="${height - 18}" text-anchor="middle">${degrees}°</text>`);
    const step = (high - low) / 4;
    for (let value = low; value <= high + 1e-9; value += step)
      parts.push(`<line class="grid" x1="${x(0)}" x2="${x(right)}" y1="${y(value)}" y2="${y(value)}"/>` +
        `<text x="${pad - 5}" y="${y(value) + 4}" text-anchor="end">${+value.toFixed(2)}</text>`);
    const said = [];
    for (const { name, colour, dash, at } of lines) {
      const points = [];
      for (let degrees = 0; degrees <= right; degrees++)
        points.push(`${x(degrees).toFixed(1)},${y(Math.min(high, Math.max(low, at(degrees)))).toFixed(1)}`);
      parts.push(`<polyline points="${points.join(" ")}" fill="none" stroke="${colour}" stroke-width="2.5" stroke-dasharray="${dash ?? ""}"/>`);
      said.push(`${name} from ${at(0).toFixed(2)} at 0° to ${at(right).toFixed(2)} at ${right}°`);
    }
    const legend = lines.map(({ name, colour, dash }) => `<span><svg width="28" height="8" aria-hidden="true"><line x1="0" x2="28" y1="4" y2="4" stroke="${colour}" stroke-width="2.5" stroke-dasharray="${dash ?? ""}"/></svg> ${name}</span>`);
    return `<figure><figcaption>${title}</figcaption><svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${title}: ${said.join("; ")}">${parts.join("")}</svg><p class="legend">${legend.join(" ")}</p></figure>`;
  }

  function explorer(place) {
    const choice = element("select", { ariaLabel: "loss" }, ...Object.keys(losses).map((name) => element("option", { value: name }, name)));
    const controls = element("div", { className: "controls" });
    const drawing = element("div", { className: "figures", ariaLive: "polite" });
    let values = {};
    const draw = () => {
      const loss = losses[choice.value];
      const ink = "var(--pst-color-text-base)";
      const curves = [
        { name: "cos θ", colour: "#949494", dash: "2 4", at: (d) => Math.cos(radians(d)) },
        { name: "U: another class", colour: "#d55e00", dash: "7 4", at: (d) => loss.U(radians(d), values) },
        { name: "T: the own class", colour: "#0173b2", at: (d) => loss.T(radians(d), values) },
      ];
      let html = chart("What becomes of a cosine, over its angle θ", curves, 180, -3, 1);
      if (choice.value === "InterFace")
        html += chart("f in degrees, over the angle to the own class", [
          { name: "f", colour: "#0173b2", at: (d) => (f(radians(d), values) * 180) / Math.PI },
          { name: "this sample", colour: ink, dash: "2 4", at: () => (f(radians(values.own), values) * 180) / Math.PI },
        ], 120, -12, 12);
      drawing.innerHTML = html;
    };
    const choose = () => {
      values = {};
      controls.replaceChildren();
      for (const [name, made] of Object.entries(losses[choice.value].parameters)) {
        values[name] = made.value;
        const shown = element("output", {}, String(made.value));
        const control = made.words
          ? element("select", {}, ...made.words.map((word) => element("option", { value: word }, word)))
          : element("input", { type: "range", min: made.min, max: made.max, step: made.step, value: made.value });
        control.addEventListener("input", () => {
          values[name] = made.words ? control.value : Number(control.value);
          shown.textContent = control.value;
          draw();
        });
        controls.append(element("label", {}, `${made.label} `, control, " ", made.words ? "" : shown));
      }
      draw();
    };
    choice.value = "InterFace";
    choice.addEventListener("input", choose);
    place.replaceChildren(element("p", {}, element("label", {}, "loss ", choice)), controls, drawing);
    choose();
  }

  function calculator(place) {
    const fields = {
      pairs: ["pairs of the test", 6000, 1],
      better: ["accuracy of the one, %", 99.83, 0.01],
      worse: ["accuracy of the other, %", 99.73, 0.01],
      overlap: ["of the better one's errors, the share that the other makes, too", 0.5, 0.05],
      spread: ["spread of one training, points", Number(place.dataset.spread), 0.01],
      runs: ["trainings of each", 1, 1],
    };
    const controls = element("div", { className: "controls" });
    const answer = element("p", { className: "answer", ariaLive: "polite" });
    const values = {};
    const tell = () => {
      const sure = certainty(values);
      const points = (value) => value.toFixed(2);
      const many = (count) => count.toLocaleString("en");
      const ways = [
        ...(Number.isFinite(sure.pairs) ? [`${many(sure.pairs)} pairs with as many trainings`] : []),
        ...(Number.isFinite(sure.runs) ? [`${many(sure.runs)} trainings of each on as many pairs`] : []),
        `${many(sure.both.runs)} trainings of each and ${many(sure.both.pairs)} pairs`,
      ];
      const [low, high] = sure.interval;
      answer.innerHTML = !Number.isFinite(sure.error) ? "These numbers do not go together." :
        `The difference is ${points(sure.difference)} points, and an interval of 95 % goes from ${points(low)} to ${points(high)}: ` +
        `<strong>${low > 0 || high < 0 ? "there is one" : "there may be none"}</strong>. ` +
        `If there were none, chance alone would print one as large in ${Math.max(100 * sure.chance, 0.1).toFixed(1)} % of such experiments. ` +
        `They find a true difference of ${points(sure.shown)} points four times out of five. ` +
        `To find one of ${points(Math.abs(sure.difference))} as often it takes ${ways.join(", or ")}.`;
    };
    for (const [name, [label, value, step]] of Object.entries(fields)) {
      values[name] = value;
      const input = element("input", { type: "number", value, step, min: 0 });
      input.addEventListener("input", () => { values[name] = Number(input.value); tell(); });
      controls.append(element("label", {}, `${label} `, input));
    }
    place.replaceChildren(controls, answer);
    tell();
  }

  document.addEventListener("DOMContentLoaded", () => {
    document.querySelectorAll("[data-play=explorer]").forEach(explorer);
    document.querySelectorAll("[data-play=calculator]").forEach(calculator);
  });
}
