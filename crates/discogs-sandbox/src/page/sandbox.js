// Copies the code. The page works without this: the button is hidden until the script runs.

const code = document.getElementById("pin");
const button = document.getElementById("copy");
const copied = document.getElementById("copied");

async function copy() {
  try {
    await navigator.clipboard.writeText(code.textContent);
    copied.textContent = "Copied.";
  } catch {
    getSelection().selectAllChildren(code);
    copied.textContent = "The code is selected. Copy it with Ctrl+C or ⌘C.";
  }
}

if (button) {
  button.hidden = false;
  button.addEventListener("click", copy);
}
