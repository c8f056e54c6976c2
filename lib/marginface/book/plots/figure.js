// Draws one Plotly figure. In the book plotly.js (its bundle of 3-D figures, a third of the whole) comes from the book
// itself, elsewhere from its CDN; text and grid take the colours of the page, also when the reader switches between light
// and dark.
(function (id, figure, after) {
  const root = document.documentElement.dataset.content_root;
  const source =
    root === undefined ? "https://cdn.plot.ly/plotly-gl3d-PLOTLYJS_VERSION.min.js" : root + "_static/plotly-gl3d.min.js";
  window.marginfacePlotly ??= new Promise((resolve, reject) => {
    if (window.Plotly) return resolve();
    const script = document.createElement("script");
    script.src = source;
    script.onload = resolve;
    script.onerror = reject;
    document.head.append(script);
  });
  const colours = () => ({ "font.color": getComputedStyle(document.body).color });
  const draw = async () => {
    // a figure is as wide as its place, which is known when those beside it are there
    while (document.readyState === "loading") await new Promise((parsed) => setTimeout(parsed, 10));
    const element = document.getElementById(id);
    figure.layout.font = { ...figure.layout.font, color: colours()["font.color"] };
    await Plotly.newPlot(element, figure.data, figure.layout, { responsive: true, displaylogo: false });
    if (after) after(element);
    new MutationObserver(() => Plotly.relayout(element, colours()))
      .observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
    await new Promise((shown) => setTimeout(shown, 50));  // this one is seen before the next is begun
  };
  window.marginfaceDrawn = (window.marginfaceDrawn ?? window.marginfacePlotly).then(draw);
})
