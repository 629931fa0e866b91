// What the server sent, before other scripts change it.
const sections = (page = document) => [...page.querySelectorAll("main section[data-key]")];
const sources = new Map(sections().map((section) => [section.dataset.key, section.outerHTML]));
