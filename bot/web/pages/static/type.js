// Large type, for whoever wants it: kept by the browser, so that every page of ours opens in it.

const KEY = "large-type";
const button = document.getElementById("type");

function show(large) {
  document.documentElement.classList.toggle("large", large);
  button?.setAttribute("aria-pressed", String(large));
}

function kept() {
  try {
    return localStorage.getItem(KEY) === "1";
  } catch {
    return false; // a browser that keeps nothing shows the page all the same
  }
}

show(kept());
button?.addEventListener("click", () => {
  const large = !document.documentElement.classList.contains("large");
  show(large);
  try {
    localStorage.setItem(KEY, large ? "1" : "0");
  } catch {
    // as above
  }
});
