// The order of what a search finds: the book's pages first, then the library's, each by Sphinx's usual points.
var Scorer = {
  score: ([page, title, anchor, description, points]) => (page.startsWith("api/") ? points - 1000 : points),
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: { 0: 15, 1: 5, 2: -5 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
};
