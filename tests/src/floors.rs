//! The floor plan of the server: the order of the `mod` lines in `proxy/src/lib.rs`, lowest first.
//! A module imports only modules below its own.

use crate::source::Source;
use std::collections::BTreeSet;

/// One module names another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Import {
    /// The file that does.
    pub file: String,
    /// The module of that file.
    pub from: String,
    /// The module that it names.
    pub to: String,
}

/// The modules in the order of their `mod` lines, lowest first.
pub fn floors(lib: &Source) -> Vec<String> {
    lib.code()
        .lines()
        .filter_map(|line| {
            let line = line.trim().trim_start_matches("pub(crate) ").trim_start_matches("pub ");
            line.strip_prefix("mod ")?.strip_suffix(';').map(str::to_owned)
        })
        .collect()
}

/// Everything that the modules name of each other. `folder` is the crate's source folder with a
/// slash at its end; its `lib.rs` and `main.rs` are no floors.
pub fn imports(sources: &[Source], folder: &str) -> Vec<Import> {
    let mut found = BTreeSet::new();
    for source in sources.iter().filter(|source| source.is_rust()) {
        let Some(below) = source.path.strip_prefix(folder) else { continue };
        let module = below.split(['/', '.']).next().unwrap_or_default();
        if below.starts_with("bin/") || matches!(module, "lib" | "main") {
            continue;
        }
        let depth = below.split('/').count();
        let code = source.code();
        let climb = "super::".repeat(depth);
        let named = named_from_root(&code, "crate::")
            .chain(named_from_root(&code, &climb))
            .filter(|to| to != module);
        found.extend(named.map(|to| Import {
            file: source.path.clone(),
            from: module.to_owned(),
            to,
        }));
    }
    found.into_iter().collect()
}

/// The first names after a path to the crate's root, also inside of braces.
fn named_from_root<'a>(code: &'a str, root: &'a str) -> impl Iterator<Item = String> + 'a {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(root).flat_map(move |(at, _)| {
        let before = code.get(..at).unwrap_or_default();
        let rest = code.get(at + root.len()..).unwrap_or_default();
        let inside_a_path = before.ends_with("::") || before.ends_with(is_name);
        let items = match rest.strip_prefix('{') {
            _ if inside_a_path => Vec::new(),
            Some(group) => items_of_group(group),
            None => vec![rest],
        };
        items.into_iter().filter_map(move |item| {
            let name: String = item.trim_start().chars().take_while(|c| is_name(*c)).collect();
            (!name.is_empty()).then_some(name)
        })
    })
}

/// Splits what follows an opening brace at the commas of its own level, up to its closing brace.
fn items_of_group(group: &str) -> Vec<&str> {
    let (mut items, mut level, mut start) = (Vec::new(), 0_u32, 0);
    for (at, c) in group.char_indices() {
        match c {
            '{' => level += 1,
            '}' if level == 0 => {
                items.extend(group.get(start..at));
                break;
            }
            '}' => level -= 1,
            ',' if level == 0 => {
                items.extend(group.get(start..at));
                start = at + 1;
            }
            _ => {}
        }
    }
    items
}

/// What is wrong: a module that names one of its own height or higher, or that has no floor.
pub fn upward(floors: &[String], imports: &[Import]) -> Vec<String> {
    let height = |module: &str| floors.iter().position(|floor| floor == module);
    imports
        .iter()
        .filter_map(|Import { file, from, to }| match (height(from), height(to)) {
            (None, _) => Some(format!("{file}: {from} has no line in lib.rs")),
            (Some(own), Some(other)) if other >= own => {
                Some(format!("{file}: {from} imports {to}, which is above it"))
            }
            _ => None,
        })
        .collect()
}

/// A ring of modules, if there is one, as the modules along it.
pub fn ring(imports: &[Import]) -> Option<Vec<String>> {
    let modules: BTreeSet<&str> = imports.iter().map(|import| import.from.as_str()).collect();
    modules.into_iter().find_map(|start| {
        let mut paths = vec![vec![start]];
        let mut seen = BTreeSet::new();
        while let Some(path) = paths.pop() {
            let last = path.last().copied().unwrap_or_default();
            for import in imports.iter().filter(|import| import.from == last) {
                if import.to == start {
                    return Some(path.into_iter().map(str::to_owned).collect());
                }
                if seen.insert(&import.to) {
                    paths.push([path.as_slice(), &[import.to.as_str()]].concat());
                }
            }
        }
        None
    })
}
