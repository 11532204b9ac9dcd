//! Style, script and icons, embedded in the binary. Their addresses carry a mark of their content, so a browser may keep
//! them for a year and a new version is never mixed with an old one.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use rust_embed::RustEmbed;

#[derive(RustEmbed)]
#[folder = "src/web/console/assets/"]
struct Embedded;

/// One mark for all files: they change together.
static MARK: LazyLock<String> = LazyLock::new(|| {
    let sum = Embedded::iter()
        .filter_map(|name| Embedded::get(&name))
        .flat_map(|file| file.metadata.sha256_hash())
        // FNV-1a over the files' own SHA-256: short, and only for telling versions apart.
        .fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    format!("{sum:016x}")
});

/// Where a page finds this file.
pub fn address(name: &str) -> String {
    format!("/assets/{name}?v={}", *MARK)
}

/// `GET /assets/{name}`
pub async fn serve(Path(name): Path<String>) -> Response {
    let Some(file) = Embedded::get(&name) else {
        return (StatusCode::NOT_FOUND, "no such file\n").into_response();
    };
    let kind = match name.rsplit('.').next() {
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    };
    let headers = [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "public, max-age=31536000, immutable")];
    (headers, file.data.into_owned()).into_response()
}
