package servicebus_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/Azure/go-amqp"
)

// signIn puts a SAS token for a queue, as the SDK does, on a bare connection.
func (b *broker) signIn(conn *amqp.Conn, queue string) {
	b.t.Helper()
	session, err := conn.NewSession(b.ctx, nil)
	b.check("session", err)
	sender, err := session.NewSender(b.ctx, "$cbs", nil)
	b.check("attach $cbs", err)
	receiver, err := session.NewReceiver(b.ctx, "$cbs", &amqp.ReceiverOptions{TargetAddress: "replies", Credit: 1})
	b.check("attach $cbs for replies", err)
	audience := "amqp://localhost/" + queue
	replyTo := "replies"
	b.check("put-token", sender.Send(b.ctx, &amqp.Message{
		Properties: &amqp.MessageProperties{MessageID: "1", ReplyTo: &replyTo},
		ApplicationProperties: map[string]any{
			"operation": "put-token", "type": "servicebus.windows.net:sastoken", "name": audience, "expiration": "0",
		},
		Value: sas(audience),
	}, nil))
	_, err = receiver.Receive(b.ctx, nil)
	b.check("reply of $cbs", err)
	b.check("end", session.Close(b.ctx))
}

func sas(audience string) string {
	resource := strings.ToLower(url.QueryEscape(audience))
	expires := fmt.Sprint(time.Now().Add(time.Hour).Unix())
	mac := hmac.New(sha256.New, []byte(keyText))
	mac.Write([]byte(resource + "\n" + expires))
	signature := url.QueryEscape(base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	return fmt.Sprintf("SharedAccessSignature sr=%s&sig=%s&se=%s&skn=%s", resource, signature, expires, keyName)
}
