## Titles of problems, by status.

problem-400 = 不正なリクエスト
problem-401 = ログインしてください
problem-403 = 許可されていません
problem-404 = 見つかりません
problem-405 = 許可されていないメソッド
problem-409 = 競合
problem-410 = もう存在しません
problem-412 = その間に変更されました
problem-413 = 大きすぎます
problem-415 = サポートされていない形式
problem-422 = 受け付けられない値です
problem-428 = バージョンが必要です
problem-429 = リクエストが多すぎます
problem-500 = 内部エラー
problem-503 = 利用できません
problem-504 = 時間がかかりすぎました

## Mails of accounts. Links and codes stand on lines of their own, outside of messages.

mail-greeting = { $name } 様
mail-verify-subject = メールアドレスの確認
mail-verify-body = 次のリンクを開いて、メールアドレスを確認してください：
mail-reset-subject = パスワードの再設定
mail-reset-body = 次のリンクを開いて、新しいパスワードを設定してください：
mail-device-subject = アカウントへの新しいログイン
mail-device-body = { $device } でアカウントへのログインがありました。
mail-ignore = 心当たりがない場合は、このメッセージを無視してください。
mail-secure = 心当たりがない場合は、すぐにパスワードを変更してください。
mail-valid = { PLURAL($minutes) ->
   *[other] リンクの有効期間は { $minutes } 分です。
}

## The page that signs a TV in by a code.

device-title = テレビでログイン
device-enter = テレビに表示されたコードを入力してください。
device-confirm = { $device } でログインしますか？
device-done = 完了しました。テレビは自動的に続行します。
device-failed = コードが間違っているか、期限が切れています。
