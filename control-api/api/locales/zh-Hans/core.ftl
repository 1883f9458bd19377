## Titles of problems, by status.

problem-400 = 请求有误
problem-401 = 请登录
problem-403 = 不允许
problem-404 = 未找到
problem-405 = 不允许的方法
problem-409 = 冲突
problem-410 = 已不存在
problem-412 = 期间已被修改
problem-413 = 过大
problem-415 = 不支持的媒体类型
problem-422 = 值不可接受
problem-428 = 需要版本
problem-429 = 请求过多
problem-500 = 内部错误
problem-503 = 不可用
problem-504 = 用时过长

## Mails of accounts. Links and codes stand on lines of their own, outside of messages.

mail-greeting = { $name }，您好：
mail-verify-subject = 确认您的电子邮件地址
mail-verify-body = 请打开此链接以确认您的电子邮件地址：
mail-reset-subject = 重置密码
mail-reset-body = 请打开此链接以设置新密码：
mail-device-subject = 您的账号有新的登录
mail-device-body = 您的账号已在 { $device } 上登录。
mail-ignore = 如果不是您本人操作，请忽略此邮件。
mail-secure = 如果不是您本人操作，请立即更改密码。
mail-valid = { PLURAL($minutes) ->
   *[other] 链接在 { $minutes } 分钟内有效。
}

## The page that signs a TV in by a code.

device-title = 在电视上登录
device-enter = 请输入电视上显示的代码。
device-confirm = 要在 { $device } 上登录吗？
device-done = 完成。电视会自动继续。
device-failed = 代码有误或已过期。
