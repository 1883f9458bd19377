//! Every code that this domain refuses requests with.

use api::problem::CodeEntry;

const fn entry(
    code: &'static str,
    status: u16,
    title: &'static str,
    about: &'static str,
) -> CodeEntry {
    CodeEntry { code, status, title, about }
}

/// To be given to the registry of problems.
pub const CODES: &[CodeEntry] = &[
    entry("invalid_credentials", 401, "Wrong address or password", "Address or password is wrong."),
    entry(
        "email_unverified",
        403,
        "Address not confirmed",
        "Open the mailed link or type its code.",
    ),
    entry("account_suspended", 403, "Account suspended", "Ask the support why."),
    entry("account_deleted", 403, "Account being deleted", "Its owner asked for the deletion."),
    entry(
        "sign_in_again",
        401,
        "Sign in again",
        "The sign-in took too long, or the account changed.",
    ),
    entry("invalid_refresh_token", 401, "Session ended", "Sign in again."),
    entry(
        "refresh_token_reused",
        401,
        "Session ended: token reused",
        "A refresh token was brought twice, so two hold it; its session was ended for both.",
    ),
    entry(
        "too_many_sessions",
        401,
        "Too many devices",
        "The plan allows fewer devices. Sign in again.",
    ),
    entry(
        "setup_token_invalid",
        403,
        "Setup token not good",
        "It is wrong, older than an hour, or was used. A restart writes another while there is no staff.",
    ),
    entry("session_not_found", 404, "No such session", "It has ended, or was never yours."),
    entry("too_many_attempts", 429, "Too many attempts", "Wait as long as `Retry-After` says."),
    entry("link_invalid", 400, "Link or code not good", "It is wrong, has expired or was used."),
    entry(
        "wrong_password",
        403,
        "Wrong password",
        "The step asks for the password of the account.",
    ),
    entry("wrong_code", 403, "Wrong code", "Wait for the next code of the app."),
    entry("totp_enrolled", 409, "App enrolled already", "Take the enrolled app off first."),
    entry("totp_not_started", 409, "No enrolment begun", "Begin the enrolment first."),
    entry("email_taken", 409, "Address taken", "The address has another account."),
    entry("user_not_found", 404, "No such account", "It was deleted."),
    entry("profile_not_found", 404, "No such profile", "It was deleted, or was never yours."),
    entry("too_many_profiles", 409, "Too many profiles", "The plan allows no more profiles."),
    entry("last_profile", 409, "Last profile", "An account keeps one profile at least."),
    entry("pin_required", 403, "PIN needed", "The profile asks for its PIN."),
    entry("wrong_pin", 403, "Wrong PIN", "Five wrong ones lock the PIN for a quarter of an hour."),
    entry("kids_profile", 403, "Not from a kids' profile", "Choose a grown-up's profile first."),
    entry("list_full", 409, "List full", "Remove something first."),
    entry("not_in_list", 404, "Not there", "The title is not in the list."),
    entry(
        "device_code_unknown",
        404,
        "Code unknown",
        "The code is wrong, was used or has expired.",
    ),
    entry("authorization_pending", 400, "Not approved yet", "Ask again after the interval."),
    entry("slow_down", 400, "Asked too often", "Add five seconds to the interval."),
    entry("expired_token", 400, "Code expired", "Begin again."),
    entry("access_denied", 400, "Refused", "The person has refused the device."),
];
