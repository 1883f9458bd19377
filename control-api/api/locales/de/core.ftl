## Titles of problems, by status.

problem-400 = Ungültige Anfrage
problem-401 = Bitte anmelden
problem-403 = Nicht erlaubt
problem-404 = Nicht gefunden
problem-405 = Methode nicht erlaubt
problem-409 = Konflikt
problem-410 = Nicht mehr vorhanden
problem-412 = Inzwischen geändert
problem-413 = Zu groß
problem-415 = Medientyp nicht unterstützt
problem-422 = Werte nicht zulässig
problem-428 = Version erforderlich
problem-429 = Zu viele Anfragen
problem-500 = Interner Fehler
problem-503 = Nicht verfügbar
problem-504 = Zeit überschritten

## Mails of accounts. Links and codes stand on lines of their own, outside of messages.

mail-greeting = Hallo { $name },
mail-verify-subject = Bestätige deine E-Mail-Adresse
mail-verify-body = Öffne diesen Link, um deine E-Mail-Adresse zu bestätigen:
mail-reset-subject = Passwort zurücksetzen
mail-reset-body = Öffne diesen Link, um ein neues Passwort zu wählen:
mail-device-subject = Neue Anmeldung bei deinem Konto
mail-device-body = Dein Konto wurde auf { $device } angemeldet.
mail-ignore = Wenn du das nicht warst, ignoriere diese Nachricht.
mail-secure = Wenn du das nicht warst, ändere jetzt dein Passwort.
mail-valid = { PLURAL($minutes) ->
    [one] Der Link gilt { $minutes } Minute.
   *[other] Der Link gilt { $minutes } Minuten.
}

## The page that signs a TV in by a code.

device-title = Auf dem Fernseher anmelden
device-enter = Gib den Code ein, den dein Fernseher anzeigt.
device-confirm = Möchtest du dich auf { $device } anmelden?
device-done = Fertig. Dein Fernseher macht von selbst weiter.
device-failed = Der Code ist falsch oder abgelaufen.
