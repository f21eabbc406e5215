//! Sources of an answer: Google tells them beside the text (`groundingMetadata`, `citationMetadata`),
//! with places in bytes of all the text together; we keep them with the text they belong to.

use serde_json::{Map, Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};
use tollgate_types::Citation;

use crate::dialects::merge::object;

/// Searches that Google made for an answer, each told once, however many chunks tell it.
#[derive(Debug, Default)]
pub(super) struct Searches {
    queries: BTreeSet<String>,
    maps: bool,
}

impl Searches {
    /// Sees what a candidate tells of them.
    pub(super) fn see(&mut self, candidate: &Map<String, Value>) {
        let Some(grounding) = candidate.get("groundingMetadata") else { return };
        let list = |key: &str| grounding.get(key).and_then(Value::as_array).into_iter().flatten();
        let queries = list("webSearchQueries").chain(list("imageSearchQueries"));
        let queries = queries.filter_map(Value::as_str).filter(|query| !query.trim().is_empty());
        self.queries.extend(queries.map(str::to_owned));
        self.maps |= list("groundingChunks").any(|chunk| chunk.get("maps").is_some());
    }

    /// The fees: by search as newer models are charged, and by prompt as older ones are.
    pub(super) fn fees(&self) -> BTreeMap<String, u64> {
        let searches = u64::try_from(self.queries.len()).unwrap_or(u64::MAX);
        let fees = [
            ("google_search", searches),
            ("grounded_prompt", searches.min(1)),
            ("google_maps", u64::from(self.maps)),
        ];
        let counted = fees.into_iter().filter(|(_, count)| *count > 0);
        counted.map(|(fee, count)| (fee.to_owned(), count)).collect()
    }
}

/// The sources of one part: `said` is all text of the answer, `part` where the part stands in it.
pub(super) fn decode(
    candidate: &Map<String, Value>,
    said: &str,
    part: &Range<usize>,
) -> Vec<Citation> {
    let grounding = candidate.get("groundingMetadata");
    let list = |key: &str| grounding.and_then(|g| g.get(key)?.as_array());
    let chunks = list("groundingChunks").map(Vec::as_slice).unwrap_or_default();
    let mut citations = Vec::new();
    match list("groundingSupports") {
        Some(supports) => {
            for support in supports {
                citations.extend(supported(support, chunks, said, part));
            }
        }
        None => citations.extend(chunks.iter().map(source)),
    }
    let quoted = candidate.get("citationMetadata");
    let quoted = quoted.and_then(|q| q.get("citationSources").or_else(|| q.get("citations")));
    for one in quoted.and_then(Value::as_array).into_iter().flatten() {
        let mut citation = page(one);
        citation.span = span(one, said, part);
        citations.push(citation);
    }
    citations
}

/// A statement and the chunks that support it.
fn supported<'a>(
    support: &'a Value,
    chunks: &'a [Value],
    said: &'a str,
    part: &'a Range<usize>,
) -> impl Iterator<Item = Citation> + 'a {
    let segment = support.get("segment");
    let quote = segment.and_then(|segment| segment.get("text")?.as_str());
    let span = segment.and_then(|segment| span(segment, said, part));
    let indices = support.get("groundingChunkIndices").and_then(Value::as_array);
    let indices = indices.into_iter().flatten();
    let cited = indices.filter_map(|n| chunks.get(usize::try_from(n.as_u64()?).ok()?));
    cited.map(move |chunk| Citation { quote: quote.map(str::to_owned), span, ..source(chunk) })
}

/// A chunk: `{"web": {...}}`, `{"retrievedContext": {...}}`, `{"maps": {...}}`.
fn source(chunk: &Value) -> Citation {
    chunk.as_object().and_then(|chunk| chunk.values().next()).map(page).unwrap_or_default()
}

fn page(page: &Value) -> Citation {
    let word = |key: &str| Some(page.get(key)?.as_str()?.to_owned());
    Citation { url: word("uri"), title: word("title"), ..Citation::default() }
}

/// The byte range within the part; nothing where the numbers and the quoted words do not fit it.
fn span(segment: &Value, said: &str, part: &Range<usize>) -> Option<(u32, u32)> {
    let place = |key: &str| usize::try_from(segment.get(key)?.as_u64()?).ok();
    let (start, end) = (place("startIndex").unwrap_or_default(), place("endIndex")?);
    let told = segment.get("text").and_then(Value::as_str);
    let there = said.get(start..end).filter(|words| told.is_none_or(|told| told == *words));
    let inside = part.start <= start && end <= part.end;
    let (start, end) = match (there, told) {
        (Some(_), _) if inside => (start - part.start, end - part.start),
        (None, Some(told)) if !told.is_empty() => {
            let at = said.get(part.clone())?.find(told)?;
            (at, at + told.len())
        }
        _ => return None,
    };
    Some((u32::try_from(start).ok()?, u32::try_from(end).ok()?))
}

/// Collects the sources of an answer that another provider gave.
#[derive(Debug, Default)]
pub(super) struct Grounding {
    said: usize,
    chunks: Vec<Value>,
    supports: Vec<Value>,
}

impl Grounding {
    /// The text of a part and what it cites.
    pub(super) fn add(&mut self, text: &str, citations: &[Citation]) {
        for citation in citations {
            let page = object([
                ("uri", citation.url.as_deref().map(Value::from)),
                ("title", citation.title.as_deref().map(Value::from)),
            ]);
            let chunk = json!({"web": page});
            let known = self.chunks.iter().position(|known| *known == chunk);
            let index = known.unwrap_or_else(|| {
                self.chunks.push(chunk);
                self.chunks.len() - 1
            });
            let Some((start, end)) = citation.span else { continue };
            let words = text.get(start as usize..end as usize).unwrap_or_default();
            self.supports.push(json!({
                "segment": {"startIndex": self.said + start as usize,
                    "endIndex": self.said + end as usize, "text": words},
                "groundingChunkIndices": [index],
            }));
        }
        self.said += text.len();
    }

    /// The metadata; nothing where nothing was cited.
    pub(super) fn finish(self) -> Option<Value> {
        if self.chunks.is_empty() {
            return None;
        }
        let supports = Some(self.supports).filter(|supports| !supports.is_empty());
        let written = object([
            ("groundingChunks", Some(self.chunks.into())),
            ("groundingSupports", supports.map(Value::from)),
        ]);
        Some(Value::Object(written))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(url: &str, span: (u32, u32)) -> Citation {
        Citation { url: Some(url.into()), span: Some(span), ..Citation::default() }
    }

    #[test]
    fn places_count_bytes_and_go_back() {
        let said = "Größe: 5 m. Ende.";
        let mut grounding = Grounding::default();
        grounding
            .add(said, &[plain("https://a.example", (0, 7)), plain("https://b.example", (14, 19))]);
        let candidate =
            Map::from_iter([("groundingMetadata".to_owned(), grounding.finish().unwrap())]);
        let read = decode(&candidate, said, &(0..said.len()));
        assert_eq!(read[0].span, Some((0, 7)));
        assert_eq!(read[0].quote.as_deref(), Some("Größe"));
        assert_eq!(read[1].url.as_deref(), Some("https://b.example"));
        assert_eq!(decode(&candidate, said, &(7..said.len()))[0].span, None, "not in that part");
    }

    #[test]
    fn searches_are_counted_once_however_many_chunks_tell_them() {
        let mut searches = Searches::default();
        let told = |queries: Value| {
            let candidate = json!({"groundingMetadata": {"webSearchQueries": queries}});
            candidate.as_object().unwrap().clone()
        };
        searches.see(&told(json!(["a"])));
        assert_eq!(searches.fees()["google_search"], 1);
        searches.see(&told(json!(["a", "b", " ", 7])));
        searches.see(&told(json!("c")));
        let fees = searches.fees();
        assert_eq!((fees["google_search"], fees["grounded_prompt"]), (2, 1));
        assert!(Searches::default().fees().is_empty());
        let maps = json!({"groundingMetadata": {"groundingChunks": [{"maps": {"uri": "u"}}]}});
        searches.see(maps.as_object().unwrap());
        assert_eq!(searches.fees()["google_maps"], 1);
    }

    #[test]
    fn wrong_places_are_found_by_their_words_or_left_out() {
        let candidate = json!({"groundingMetadata": {
            "groundingChunks": [{"retrievedContext": {"title": "T"}}],
            "groundingSupports": [
                {"segment": {"endIndex": 99, "text": "two"}, "groundingChunkIndices": [0, 7, "x"]},
                {"segment": {"startIndex": 5, "endIndex": 1}, "groundingChunkIndices": [0]}]},
            "citationMetadata": {"citationSources": [{"startIndex": 0, "endIndex": 3, "uri": "https://c.example"}]}});
        let read = decode(candidate.as_object().unwrap(), "one two", &(0..7));
        let spans: Vec<_> = read.iter().map(|citation| citation.span).collect();
        assert_eq!(spans, [Some((4, 7)), None, Some((0, 3))]);
        assert_eq!(read[0].title.as_deref(), Some("T"));
    }
}
