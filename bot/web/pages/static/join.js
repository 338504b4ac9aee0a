// Copies the sentence that leads into the contest, where the browser lets us; else it says how.

const said = document.getElementById("said");

document.getElementById("copy").addEventListener("click", async () => {
  const words = document.getElementById("words").textContent.trim();
  try {
    await navigator.clipboard.writeText(words);
    said.textContent = "已复制。回到聊天，粘贴并发送。";
  } catch {
    said.textContent = "这个浏览器不让网页复制：请长按上面的话复制，或直接在聊天里输入。";
  }
});
