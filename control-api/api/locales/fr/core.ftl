## Titles of problems, by status.

problem-400 = Requête incorrecte
problem-401 = Connectez-vous
problem-403 = Non autorisé
problem-404 = Introuvable
problem-405 = Méthode non autorisée
problem-409 = Conflit
problem-410 = N’existe plus
problem-412 = Modifié entre-temps
problem-413 = Trop volumineux
problem-415 = Type de média non pris en charge
problem-422 = Valeurs non acceptables
problem-428 = Version requise
problem-429 = Trop de requêtes
problem-500 = Erreur interne
problem-503 = Indisponible
problem-504 = Délai dépassé

## Mails of accounts. Links and codes stand on lines of their own, outside of messages.

mail-greeting = Bonjour { $name },
mail-verify-subject = Confirmez votre adresse e-mail
mail-verify-body = Ouvrez ce lien pour confirmer votre adresse e-mail :
mail-reset-subject = Réinitialisez votre mot de passe
mail-reset-body = Ouvrez ce lien pour choisir un nouveau mot de passe :
mail-device-subject = Nouvelle connexion à votre compte
mail-device-body = Une connexion à votre compte a eu lieu sur { $device }.
mail-ignore = Si ce n’était pas vous, ignorez ce message.
mail-secure = Si ce n’était pas vous, changez votre mot de passe maintenant.
mail-valid = { PLURAL($minutes) ->
    [one] Le lien est valable { $minutes } minute.
    [many] Le lien est valable { $minutes } de minutes.
   *[other] Le lien est valable { $minutes } minutes.
}

## The page that signs a TV in by a code.

device-title = Se connecter sur votre téléviseur
device-enter = Saisissez le code affiché sur votre téléviseur.
device-confirm = Voulez-vous vous connecter sur { $device } ?
device-done = C’est fait. Votre téléviseur continue tout seul.
device-failed = Le code est incorrect ou a expiré.
