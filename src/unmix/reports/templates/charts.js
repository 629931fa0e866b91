// Draws the charts of a page by vega-embed, each as wide as the page has room for; again when the width changes.
const roomFor = (spec, width) => {
  const layout = spec.usermeta, menu = width > 600 ? 40 : 0;
  if (layout.panels) {
    const labels = Math.min(spec.config.axis.labelLimit, width / 3, 16 + 7 * layout.characters);
    const isNarrow = layout.panels * 150 + labels + menu > width, columns = isNarrow ? 1 : layout.panels;
    if (isNarrow) spec.facet = { row: { ...spec.facet.column, header: { title: null, labelAngle: 0, labelOrient: "top", labelAnchor: "start" } } };
    spec.config.axis.labelLimit = labels;
    spec.spec.width = Math.max(100, (width - labels - menu) / columns - 24);
  } else if (layout.axes) {
    spec.width = Math.max(width - menu, layout.axes * layout.axis_width);
    spec.height = 240;
  }
  return spec;
};
const draw = async (figure) => {
  const text = figure.querySelector("script").textContent, width = figure.clientWidth;
  if (!width || figure.dataset.drawn === width + text) return;
  figure.dataset.drawn = width + text;
  const isDark = matchMedia("(prefers-color-scheme: dark)").matches;
  const { view } = await vegaEmbed(figure.querySelector("div"), roomFor(JSON.parse(text), width), {
    renderer: "svg",
    actions: width > 600 && { export: true, source: false, compiled: false, editor: false },
    tooltip: { theme: isDark ? "dark" : "light" },
  });
  figure.view = view;
};
const drawCharts = () => document.querySelectorAll("figure.chart").forEach(draw);
drawCharts();
addEventListener("resize", drawCharts);
