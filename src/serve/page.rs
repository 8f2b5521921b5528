//! The page: files that are part of the program, under a policy that lets nothing in from elsewhere.
//!
//! They hold no data: what the page shows it asks the API for, with the token of whoever looks.

use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Router, response::Redirect};
use std::future::ready;
use xxhash_rust::xxh3::xxh3_64;

/// Scripts, styles and data from this origin alone, no markup made of text, in no frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'";

/// What every file of the page is answered with.
const HEADERS: [(HeaderName, &str); 5] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    // asked for again each time, and answered with 304 while it is the same
    (header::CACHE_CONTROL, "no-cache"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
];

macro_rules! files {
    ($($name:literal)*) => {
        /// Every file, by its name.
        const FILES: &[(&str, &str)] = &[$((concat!("/", $name), include_str!(concat!("page/", $name)))),*];
    };
}

files! {
    "alert-actions.js"
    "alert.js"
    "alerts.js"
    "api.js"
    "business.js"
    "changes.js"
    "chart-share.js"
    "chart-time.js"
    "chart.js"
    "connection.js"
    "decisions.js"
    "dom.js"
    "features.js"
    "format.js"
    "health.js"
    "icon.svg"
    "index.html"
    "main.js"
    "now.js"
    "page.css"
    "parts.js"
    "quality.js"
    "resource.js"
    "runbook.js"
    "sign-in.js"
    "stream.js"
    "theme.js"
    "visitor.js"
}

/// The runbook, of which the page shows the entry of an alert.
const RUNBOOK: (&str, &str) = ("/runbook.md", include_str!("../../docs/runbook.md"));

/// The page at `/`, and its files beside it.
pub(super) fn routes() -> Router {
    let mut router = Router::new().route("/index.html", get(|| ready(Redirect::permanent("/"))));
    for (path, text) in FILES.iter().chain([&RUNBOOK]) {
        let path = if *path == "/index.html" { "/" } else { *path };
        let tag = format!("\"{:016x}\"", xxh3_64(text.as_bytes()));
        let tag = HeaderValue::from_str(&tag).expect("hexadecimal digits");
        router = router.route(path, get(move |request: Request| ready(answer(&request, path, text, tag))));
    }
    router
}

fn answer(request: &Request, path: &str, text: &'static str, tag: HeaderValue) -> Response {
    let is_known = request.headers().get(header::IF_NONE_MATCH) == Some(&tag);
    let mut response = if is_known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(header::CONTENT_TYPE, content_type(path))], text).into_response()
    };
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(header::ETAG, tag);
    response
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit_once('.') {
        Some((_, "js")) => "text/javascript; charset=utf-8",
        Some((_, "css")) => "text/css; charset=utf-8",
        Some((_, "svg")) => "image/svg+xml",
        Some((_, "md")) => "text/markdown; charset=utf-8",
        _ => "text/html; charset=utf-8",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::alert::AlertKind;
    use axum::body::{Body, to_bytes};
    use std::collections::BTreeSet;
    use std::path::Path;
    use tower::ServiceExt as _;

    async fn ask(path: &str, tag: Option<&HeaderValue>) -> Response {
        let mut request = Request::get(path);
        if let Some(tag) = tag {
            request = request.header(header::IF_NONE_MATCH, tag);
        }
        routes().oneshot(request.body(Body::empty()).expect("a request")).await.expect("it answers")
    }

    #[test]
    fn every_file_of_the_page_is_served() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/serve/page");
        let there: BTreeSet<String> = std::fs::read_dir(folder)
            .expect("the folder")
            .flatten()
            .map(|file| format!("/{}", file.file_name().to_string_lossy()))
            .collect();
        let served: BTreeSet<String> = FILES.iter().map(|(path, _)| (*path).to_owned()).collect();
        assert_eq!(there, served);
    }

    #[tokio::test]
    async fn the_page_comes_under_its_policy_and_once() {
        let page = ask("/", None).await;
        assert_eq!(page.status(), StatusCode::OK);
        assert_eq!(page.headers()[header::CONTENT_TYPE], "text/html; charset=utf-8");
        assert_eq!(page.headers()[header::CONTENT_SECURITY_POLICY], POLICY);
        let tag = page.headers()[header::ETAG].clone();
        let body = to_bytes(page.into_body(), usize::MAX).await.expect("a body");
        assert!(body.starts_with(b"<!doctype html>") || body.starts_with(b"<!DOCTYPE html>"));
        let again = ask("/", Some(&tag)).await;
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
        assert_eq!(
            ask("/main.js", Some(&tag)).await.headers()[header::CONTENT_TYPE],
            "text/javascript; charset=utf-8"
        );
    }

    #[test]
    fn the_runbook_has_an_entry_for_each_kind_of_alert() {
        for (name, _) in AlertKind::NAMES {
            let entry = RUNBOOK.1.split("\n## ").find(|entry| entry.starts_with(&format!("{name}\n")));
            assert!(entry.is_some_and(|entry| entry.contains("\n- **Do**: ")), "{name}");
        }
    }

    #[test]
    fn nothing_of_the_page_is_from_elsewhere() {
        for (path, text) in FILES {
            // the namespaces of SVG are names, not addresses
            let text = text.replace("http://www.w3.org/", "");
            assert!(!text.contains("http://") && !text.contains("https://"), "{path}");
            assert!(!text.contains("innerHTML") && !text.contains(" style=\""), "{path}");
        }
    }
}
