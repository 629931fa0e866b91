// One player sounds at a time; in a group that plays the same passage, the next goes on where the last one was.
document.addEventListener("play", ({ target }) => {
  for (const other of document.querySelectorAll("audio")) {
    if (other === target || other.paused) continue;
    other.pause();
    const group = target.closest(".players.together");
    if (group && group.contains(other)) target.currentTime = other.currentTime;
  }
}, true);
