//! Label names in paths.
//!
//! Names of letters, digits and underscores stand for themselves. Any other name comes escaped, as
//! `U__`, with `__` for an underscore and `_<hex>_` for what is no letter or digit:
//! <https://github.com/prometheus/proposals/blob/main/proposals/2023-08-21-utf8.md>.

use super::error::{ApiError, Refusal};

pub(super) fn label_name(in_path: &str) -> Result<String, ApiError> {
    let name = match in_path.strip_prefix("U__") {
        Some(escaped) => unescaped(escaped),
        None => is_plain(in_path).then(|| in_path.to_owned()),
    };
    name.ok_or_else(|| ApiError::new(Refusal::BadData, format!("invalid label name: {in_path:?}")))
}

fn is_plain(name: &str) -> bool {
    let word = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    word && name.bytes().next().is_some_and(|b| !b.is_ascii_digit())
}

fn unescaped(text: &str) -> Option<String> {
    let mut name = String::new();
    let mut rest = text;
    while let Some((plain, escape)) = rest.split_once('_') {
        name.push_str(plain);
        let (code, after) = escape.split_once('_')?;
        name.push(match code {
            "" => '_',
            code => char::from_u32(u32::from_str_radix(code, 16).ok()?)?,
        });
        rest = after;
    }
    name.push_str(rest);
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_names_stand_for_themselves() {
        for name in ["job", "__name__", "_", "a1", "U_"] {
            assert_eq!(label_name(name).unwrap(), name);
        }
    }

    #[test]
    fn escaped_names_are_read() {
        assert_eq!(label_name("U__http_2e_status__code").unwrap(), "http.status_code");
        assert_eq!(label_name("U____name__").unwrap(), "_name_");
    }

    #[test]
    fn invalid_names_are_refused() {
        for name in ["", "1a", "a-b", "a.b", "é", "U__", "U__a_", "U__a_zz_", "U__a_d800_"] {
            assert!(label_name(name).is_err(), "{name}");
        }
    }
}
