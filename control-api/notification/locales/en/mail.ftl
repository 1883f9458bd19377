## Mails about accounts. Links and codes stand on lines of their own, outside of messages.

mail-code = Or type this code:
mail-already-registered-subject = You have an account already
mail-already-registered-body = Somebody tried to register with this address, which has an account already. If it was you, sign in, or reset your password.
mail-password-changed-subject = Your password was changed
mail-password-changed-body = The password of your account was changed, and all other devices were signed out.
mail-confirm-email-subject = Confirm your new e-mail address
mail-confirm-email-body = Open this link to use this address for your account:
mail-email-changed-subject = Your e-mail address was changed
mail-email-changed-body = Your account has another e-mail address now, and this one is no longer used.
mail-account-deleted-subject = Your account was deleted
mail-account-deleted-body = Your account and what belonged to it were deleted, as you asked.
mail-export-ready-subject = Your data is ready
mail-export-ready-body = Open this link to download what we keep about you:
mail-new-device-subject = New sign-in to your account
mail-new-device-body = Your account was signed in to on a new device.
