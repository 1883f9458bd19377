## Titles of problems, by status.

problem-400 = Ongeldig verzoek
problem-401 = Log in
problem-403 = Niet toegestaan
problem-404 = Niet gevonden
problem-405 = Methode niet toegestaan
problem-409 = Conflict
problem-410 = Bestaat niet meer
problem-412 = Intussen gewijzigd
problem-413 = Te groot
problem-415 = Mediatype niet ondersteund
problem-422 = Waarden niet aanvaardbaar
problem-428 = Versie vereist
problem-429 = Te veel verzoeken
problem-500 = Interne fout
problem-503 = Niet beschikbaar
problem-504 = Duurde te lang

## Mails of accounts. Links and codes stand on lines of their own, outside of messages.

mail-greeting = Hallo { $name },
mail-verify-subject = Bevestig je e-mailadres
mail-verify-body = Open deze link om je e-mailadres te bevestigen:
mail-reset-subject = Stel je wachtwoord opnieuw in
mail-reset-body = Open deze link om een nieuw wachtwoord te kiezen:
mail-device-subject = Nieuwe aanmelding bij je account
mail-device-body = Er is bij je account ingelogd op { $device }.
mail-ignore = Was jij dit niet? Negeer dan dit bericht.
mail-secure = Was jij dit niet? Wijzig dan nu je wachtwoord.
mail-valid = { PLURAL($minutes) ->
    [one] De link is { $minutes } minuut geldig.
   *[other] De link is { $minutes } minuten geldig.
}

## The page that signs a TV in by a code.

device-title = Inloggen op je tv
device-enter = Voer de code in die je tv toont.
device-confirm = Wil je inloggen op { $device }?
device-done = Klaar. Je tv gaat vanzelf verder.
device-failed = De code is onjuist of verlopen.
