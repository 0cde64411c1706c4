//! The tables as LaTeX, for a paper: `booktabs` rules, a label each.

use super::{Document, Table};

/// Every table as a `table*` environment, ready for `\input`.
pub fn latex(document: &Document) -> String {
    let mut text = format!(
        "% {}: {}\n% Needs \\usepackage{{booktabs}} and \\usepackage{{graphicx}}. Made by `longhaul report --format latex`.\n",
        comment(&document.title),
        comment(&document.subtitle)
    );
    let tables = document.speedups.iter().chain([&document.times, &document.costs, &document.correctness]);
    tables.filter(|of| !of.rows.is_empty()).for_each(|of| text.push_str(&table(of)));
    text
}

fn table(table: &Table) -> String {
    let line = |cells: &[String]| {
        let cells: Vec<String> = cells.iter().map(|cell| escaped(cell)).collect();
        format!("  {} \\\\\n", cells.join(" & "))
    };
    let columns: String = (0..table.header.len()).map(|column| if column < table.names { 'l' } else { 'r' }).collect();
    let rows: String = table.rows.iter().map(|row| line(row)).collect();
    format!(
        "\n\\begin{{table*}}\n  \\centering\n  \\caption{{{}}}\n  \\label{{tab:{}}}\n  \
         % Shrinks wide tables to the width of the text.\n  \\resizebox{{\\ifdim\\width>\\textwidth \\textwidth\\else \\width\\fi}}{{!}}{{%\n  \
         \\begin{{tabular}}{{{columns}}}\n  \\toprule\n{}  \\midrule\n{rows}  \\bottomrule\n  \\end{{tabular}}}}\n\\end{{table*}}\n",
        escaped(&table.caption),
        table.id,
        line(&table.header),
    )
}

/// Text that stays text; what TeX lacks in its standard fonts becomes a command.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '\\' => out.push_str("\\textbackslash{}"),
            '~' => out.push_str("\\textasciitilde{}"),
            '^' => out.push_str("\\textasciicircum{}"),
            '&' | '%' | '$' | '#' | '_' | '{' | '}' => out.extend(['\\', char]),
            '\u{d7}' => out.push_str("$\\times$"),
            '\u{2013}' => out.push_str("--"),
            // Ligatures and quotes would change "--" or "<<" in a name.
            '<' => out.push_str("\\textless{}"),
            '>' => out.push_str("\\textgreater{}"),
            '\n' | '\r' => out.push(' '),
            _ => out.push(char),
        }
    }
    out
}

/// A comment ends with its line.
fn comment(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
}
