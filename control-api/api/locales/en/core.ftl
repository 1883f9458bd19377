## Titles of problems, by status.

problem-400 = Bad request
problem-401 = Sign in
problem-403 = Not allowed
problem-404 = Not found
problem-405 = Method not allowed
problem-409 = Conflict
problem-410 = Gone
problem-412 = Changed meanwhile
problem-413 = Too large
problem-415 = Unsupported media type
problem-422 = Values not acceptable
problem-428 = Version required
problem-429 = Too many requests
problem-500 = Internal error
problem-503 = Not available
problem-504 = Took too long

## Mails of accounts. Links and codes stand on lines of their own, outside of messages.

mail-greeting = Hello { $name },
mail-verify-subject = Confirm your e-mail address
mail-verify-body = Open this link to confirm your e-mail address:
mail-reset-subject = Reset your password
mail-reset-body = Open this link to choose a new password:
mail-device-subject = New sign-in to your account
mail-device-body = Your account was signed in to on { $device }.
mail-ignore = If this wasn’t you, ignore this message.
mail-secure = If this wasn’t you, change your password now.
mail-valid = { PLURAL($minutes) ->
    [one] The link is valid for { $minutes } minute.
   *[other] The link is valid for { $minutes } minutes.
}

## The page that signs a TV in by a code.

device-title = Sign in on your TV
device-enter = Enter the code that your TV shows.
device-confirm = Do you want to sign in on { $device }?
device-done = Done. Your TV goes on by itself.
device-failed = The code is wrong or has expired.
