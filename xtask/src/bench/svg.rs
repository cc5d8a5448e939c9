//! What the pictures have in common: plain SVG, no script, no font of its own, for light and dark
//! pages.

/// A picture before anything is drawn on it.
pub(super) struct Paper<'a> {
    pub(super) width: f64,
    pub(super) height: f64,
    pub(super) title: &'a str,
    pub(super) note: &'a str,
}

/// The colours of each class. The drawing has its own background, so that the text is readable on
/// light and dark pages.
const STYLE: &str = "\
.paper{fill:#fff}text{fill:#1f2328}.note{fill:#59636e}.target,.spread{stroke:#1f2328}.tick{stroke:#d1d9e0}\n\
.met{fill:#3a7d44}.missed{fill:#b3261e}.shown{fill:#818b98}\n\
@media(prefers-color-scheme:dark){\n\
.paper{fill:#0d1117}text{fill:#e6edf3}.note{fill:#9198a1}.target,.spread{stroke:#e6edf3}.tick{stroke:#3d444d}\n\
.met{fill:#57ab5a}.missed{fill:#f47067}.shown{fill:#768390}}\n";

/// The beginning of the picture, up to what is drawn.
pub(super) fn begin(paper: &Paper<'_>) -> String {
    let Paper { width, height, title, note } = paper;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
         font-family=\"sans-serif\" font-size=\"13\">\n<style>\n{STYLE}</style>\n\
         <rect width=\"100%\" height=\"100%\" rx=\"6\" class=\"paper\"/>\n\
         <text x=\"16\" y=\"26\" font-size=\"16\">{title}</text>\n\
         <text x=\"16\" y=\"46\" class=\"note\">{note}</text>\n",
        title = escaped(title),
        note = escaped(note),
    )
}

pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
