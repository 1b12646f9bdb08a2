// While the pointer is over the cards or a filter is being typed, the cards keep their order.

const TYPING_MS = 2000; // after the last key
const LEAVING_MS = 300; // after the pointer has left: the click of a touch comes later

/** Hold the order of `plots` while the user points at `container` or types in `field`; then call `onRelease`. */
export function holdWhileInUse(plots, { container, field, onRelease }) {
  let isPointed = false;
  let pending = 0;
  const holdFor = (duration) => {
    plots.hold();
    pending += 1;
    setTimeout(() => {
      pending -= 1;
      if (isPointed || pending) return;
      plots.release();
      onRelease();
    }, duration);
  };
  container.addEventListener("pointerenter", () => {
    isPointed = true;
    plots.hold();
  });
  container.addEventListener("pointerleave", () => {
    isPointed = false;
    holdFor(LEAVING_MS);
  });
  field.addEventListener("input", () => holdFor(TYPING_MS));
}
