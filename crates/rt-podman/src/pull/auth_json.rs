//! A file of logins with one user: `auth.json` of containers-auth.json(5).

use base64ct::{Base64, Encoding};
use rt_protocol::{RegistryCredentials, Secret};

/// Returns the file for one registry.
pub(super) fn auth_json(registry: &str, credentials: &RegistryCredentials) -> Secret {
    let password = credentials.password().expose().as_encoded_bytes();
    let login = [credentials.user().as_bytes(), b":", password].concat();
    // A host and base64 need no escapes in JSON.
    Secret::new(format!(r#"{{"auths":{{"{registry}":{{"auth":"{}"}}}}}}"#, Base64::encode_string(&login)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_json_with_one_login() {
        let credentials = RegistryCredentials::new("a\"b", "p:w").unwrap();
        let file = auth_json("localhost:5000", &credentials);
        let value: serde_json::Value = serde_json::from_str(file.expose().to_str().unwrap()).unwrap();
        assert_eq!(value["auths"]["localhost:5000"]["auth"], "YSJiOnA6dw==");
    }
}
