//! The frame of the report: head, style sheet, sections. It must never pass a text on unescaped unless it is named as
//! HTML.

use std::fmt::Write as _;

/// Colours are those of Okabe and Ito (2008), told apart by all kinds of colour vision; lines differ in their dashes too.
const STYLE: &str = "
:root{color-scheme:light dark;--page:#fff;--ink:#1c1e21;--soft:#5b6168;--line:#d5d9de;--card:#f5f6f8;
--c0:#0072b2;--c1:#d55e00;--c2:#00795a;--c3:#a3457f;--c4:#6b6b00;--c5:#4b4b4b;--benign:#0072b2;--bad:#d55e00;--band:#e69f00}
@media(prefers-color-scheme:dark){:root{--page:#14171a;--ink:#e6e8ea;--soft:#a0a7af;--line:#3a4047;--card:#1d2226;
--c0:#56b4e9;--c1:#f0894a;--c2:#2fc29b;--c3:#e09ac4;--c4:#d9d04a;--c5:#c0c0c0;--benign:#56b4e9;--bad:#f0894a;--band:#e69f00}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:1120px;padding:24px 20px 60px;background:var(--page);color:var(--ink);
font:15px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,'Noto Sans',sans-serif}
h1{font-size:26px;margin:0 0 4px}h2{font-size:20px;margin:44px 0 0;padding-top:12px;border-top:2px solid var(--ink)}
h3{font-size:16px;margin:30px 0 8px}h4{font-size:14px;margin:14px 0 4px}p{margin:4px 0 10px;color:var(--soft);max-width:80ch}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(155px,1fr));gap:10px;margin:18px 0 6px}
.card{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:10px 14px}
.card b{display:block;font-size:24px;line-height:1.25;font-variant-numeric:tabular-nums}.card span{color:var(--soft);font-size:13px}
.row{display:grid;grid-template-columns:repeat(auto-fit,minmax(320px,1fr));gap:8px 28px;align-items:start}
.wide{overflow-x:auto}
table{border-collapse:collapse;font-size:14px;font-variant-numeric:tabular-nums;min-width:50%}
th,td{text-align:left;padding:4px 14px 4px 0;border-bottom:1px solid var(--line);vertical-align:top}
th{font-weight:600}td.n,th.n{text-align:right}tr.g th{padding-top:14px;color:var(--soft);font-weight:600}
.matrix td{border:1px solid var(--line);padding:10px 14px;text-align:right}.matrix th{padding:6px 12px 6px 0;border:0}
.matrix b{display:block;font-size:18px}.matrix small{color:var(--soft)}
svg{display:block;max-width:100%;height:auto;font:12px system-ui,sans-serif}svg text{fill:var(--ink)}svg .soft{fill:var(--soft)}
.axis{stroke:var(--line);fill:none}.frame{stroke:var(--soft);fill:none}
.curve{fill:none;stroke-width:2}.threshold{stroke:var(--ink);stroke-width:1.5;stroke-dasharray:5 4}
.s0{stroke:var(--c0)}.s1{stroke:var(--c1);stroke-dasharray:7 3}.s2{stroke:var(--c2);stroke-dasharray:2 3}
.s3{stroke:var(--c3);stroke-dasharray:9 3 2 3}.s4{stroke:var(--c4);stroke-dasharray:4 4}.s5{stroke:var(--c5);stroke-dasharray:1 4}
circle.s0{fill:var(--c0)}circle.s1{fill:var(--c1)}circle.s2{fill:var(--c2)}circle.s3{fill:var(--c3)}circle.s4{fill:var(--c4)}circle.s5{fill:var(--c5)}
.benign{fill:var(--benign)}.bad{fill:var(--bad)}.half{fill-opacity:.55}.outline{fill:none;stroke:var(--bad);stroke-width:1.5}
.band{fill:var(--band);fill-opacity:.22}.right{fill:var(--ink)}.wrong{fill:none;stroke:var(--bad);stroke-width:1.8}
.key{display:flex;flex-wrap:wrap;gap:4px 20px;margin:0 0 4px;font-size:13px;color:var(--soft)}.key svg{display:inline-block;vertical-align:middle;margin-right:6px}
.bar{fill:var(--c0)}code{font-size:13px}
@media print{body{max-width:none;padding:0}h2,h3{break-after:avoid}svg,table,.card{break-inside:avoid}}
";

/// A report being written.
#[derive(Debug)]
pub(super) struct Page {
    html: String,
}

impl Page {
    pub(super) fn new(title: &str) -> Self {
        let title = escaped(title);
        // The policy is the promise that nothing is loaded and nothing runs.
        let html = format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
             <title>{title} – sensor</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n"
        );
        Self { html }
    }

    pub(super) fn html(&mut self, html: &str) {
        self.html.push_str(html);
        self.html.push('\n');
    }

    pub(super) fn heading(&mut self, text: &str) {
        let _ = writeln!(self.html, "<h2>{}</h2>", escaped(text));
    }

    pub(super) fn section(&mut self, title: &str, html: &str) {
        let _ = writeln!(
            self.html,
            "<section>\n<h3>{}</h3>\n{html}\n</section>",
            escaped(title)
        );
    }

    /// Sections side by side where there is room.
    pub(super) fn row(&mut self, sections: &[(&str, &str)]) {
        self.html.push_str("<div class=\"row\">\n");
        for (title, html) in sections {
            self.section(title, html);
        }
        self.html.push_str("</div>\n");
    }

    pub(super) fn finish(mut self) -> String {
        self.html.push_str("</body>\n</html>\n");
        self.html
    }
}

/// Text for an element or a quoted attribute.
pub(super) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            letter if letter.is_control() => safe.push(' '),
            letter => safe.push(letter),
        }
    }
    safe
}
