// The flags of plots, in words.

export const FLAGS = {
  blank: "one colour, nothing is drawn",
  broken: "cut off, not decodable, or not of the format that its suffix names",
  duplicate: "another copy has the same bytes",
  stale: "the last burst of drawing in its project left it out",
  tiny: "narrower or lower than 16 pixels",
};
