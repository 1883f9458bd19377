## Titles of problems, by status.

problem-400 = Ogiltig begäran
problem-401 = Logga in
problem-403 = Inte tillåtet
problem-404 = Hittades inte
problem-405 = Metoden är inte tillåten
problem-409 = Konflikt
problem-410 = Finns inte längre
problem-412 = Ändrat under tiden
problem-413 = För stort
problem-415 = Medietypen stöds inte
problem-422 = Värdena godtas inte
problem-428 = Version krävs
problem-429 = För många förfrågningar
problem-500 = Internt fel
problem-503 = Inte tillgänglig
problem-504 = Tog för lång tid

## Mails of accounts. Links and codes stand on lines of their own, outside of messages.

mail-greeting = Hej { $name },
mail-verify-subject = Bekräfta din e-postadress
mail-verify-body = Öppna länken för att bekräfta din e-postadress:
mail-reset-subject = Återställ ditt lösenord
mail-reset-body = Öppna länken för att välja ett nytt lösenord:
mail-device-subject = Ny inloggning på ditt konto
mail-device-body = Någon loggade in på ditt konto på { $device }.
mail-ignore = Om det inte var du kan du bortse från det här meddelandet.
mail-secure = Om det inte var du, byt lösenord nu.
mail-valid = { PLURAL($minutes) ->
    [one] Länken gäller i { $minutes } minut.
   *[other] Länken gäller i { $minutes } minuter.
}

## The page that signs a TV in by a code.

device-title = Logga in på din tv
device-enter = Ange koden som visas på din tv.
device-confirm = Vill du logga in på { $device }?
device-done = Klart. Din tv fortsätter av sig själv.
device-failed = Koden är fel eller har gått ut.
