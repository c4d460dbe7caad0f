//! `status/buildinfo`.

use axum::response::Response;
use serde_json::json;

use super::envelope::success;
use super::error::ApiError;

/// Clients ask for the version to tell what the server can do. The other fields are part of the
/// shape; a build knows nothing of where and by whom it was made.
pub(super) async fn build_info() -> Result<Response, ApiError> {
    let data = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "revision": "",
        "branch": "",
        "buildUser": "",
        "buildDate": "",
        "goVersion": "",
    });
    success(data, &[], &[])
}
